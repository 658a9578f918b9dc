@NullMarked
package dev.penstock.schedule.preempt;

import org.jspecify.annotations.NullMarked;
