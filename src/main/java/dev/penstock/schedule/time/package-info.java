/** Converts the times of jobs to times of the scheduler's clock. */
@NullMarked
package dev.penstock.schedule.time;

import org.jspecify.annotations.NullMarked;
