/**
 * Sessions, locks and acknowledgements as state machines without input and output. They get the time as an argument.
 */
@NullMarked
package dev.penstock.kafka.share.lane;

import org.jspecify.annotations.NullMarked;
