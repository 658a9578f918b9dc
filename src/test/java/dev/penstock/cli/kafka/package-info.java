/** Tests of {@code dev.penstock.cli.kafka}. */
@NullMarked
package dev.penstock.cli.kafka;

import org.jspecify.annotations.NullMarked;
