/** A record in flight, in either mode: it gets memory, then becomes a run, a dead letter or a deferred record. */
@NullMarked
package dev.penstock.intake.record;

import org.jspecify.annotations.NullMarked;
