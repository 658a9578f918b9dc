/**
 * Handles everything around the execution of a Kafka job: duplicates, recovery, quarantine, cancelling, outcome and
 * acknowledgement. Each job has its own virtual thread.
 */
@NullMarked
package dev.penstock.dispatch;

import org.jspecify.annotations.NullMarked;
