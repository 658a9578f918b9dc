/** Tests of {@code dev.penstock.schedule.time}. */
@NullMarked
package dev.penstock.schedule.time;

import org.jspecify.annotations.NullMarked;
