/** Creates Kafka's clients, and reads topics without a group. */
@NullMarked
package dev.penstock.kafka;

import org.jspecify.annotations.NullMarked;
