/** Selects the running attempt that gives its slot to a waiting job of higher priority. */
@NullMarked
package dev.penstock.schedule.preempt;

import org.jspecify.annotations.NullMarked;
