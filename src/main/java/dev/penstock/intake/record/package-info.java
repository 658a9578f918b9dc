/**
 * Handles a record in flight, in either mode: reserves memory for it, then makes it a run, a dead letter or a deferred
 * record.
 */
@NullMarked
package dev.penstock.intake.record;

import org.jspecify.annotations.NullMarked;
