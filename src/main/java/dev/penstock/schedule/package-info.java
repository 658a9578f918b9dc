/** Schedules the waiting jobs: their order, the node for each job, and the jobs that make room for other jobs. */
@NullMarked
package dev.penstock.schedule;

import org.jspecify.annotations.NullMarked;
