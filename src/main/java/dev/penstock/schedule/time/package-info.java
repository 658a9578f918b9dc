/** The scheduler's clock and its timer. */
@NullMarked
package dev.penstock.schedule.time;

import org.jspecify.annotations.NullMarked;
