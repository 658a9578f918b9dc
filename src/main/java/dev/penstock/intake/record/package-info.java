/** A record in flight, in either mode: it reserves memory, becomes a run, a dead letter or a deferred record, and is acknowledged. */
@NullMarked
package dev.penstock.intake.record;

import org.jspecify.annotations.NullMarked;
