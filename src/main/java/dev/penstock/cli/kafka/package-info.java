/** The connection to the service over Kafka. */
@NullMarked
package dev.penstock.cli.kafka;

import org.jspecify.annotations.NullMarked;
