/** The clients of Kafka: how each is made, and how a topic is read without a group. */
@NullMarked
package dev.penstock.kafka;

import org.jspecify.annotations.NullMarked;
