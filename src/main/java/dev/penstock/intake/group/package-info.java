/**
 * Takes records by a classic consumer group: the deferred records, and in classic mode the records of the job topics.
 */
@NullMarked
package dev.penstock.intake.group;

import org.jspecify.annotations.NullMarked;
