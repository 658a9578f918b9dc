/**
 * A client for Kafka share groups (KIP-932, KIP-1222) that takes one record at a time. One thread and one network
 * client serve all topics. It asks for exactly as many records as there is room for, acknowledges each record at any
 * time, renews the locks of all records in flight, and keeps running jobs through a lost connection.
 *
 * <p>{@link dev.penstock.kafka.share.lane.Lane} is the core: a state machine without input and output, which gets the time
 * as an argument. Two files use Kafka's internal classes: {@link dev.penstock.kafka.share.Wire} (connections and
 * requests) and {@link dev.penstock.kafka.share.BatchReader} (record batches).
 */
@NullMarked
package dev.penstock.kafka.share;

import org.jspecify.annotations.NullMarked;
