/** Counts the replica's slots for jobs, and divides a node's slots between direct calls and jobs. */
@NullMarked
package dev.penstock.schedule.slots;

import org.jspecify.annotations.NullMarked;
