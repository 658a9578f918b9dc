/** How long a job may wait and run. */
@NullMarked
package dev.penstock.execution.time;

import org.jspecify.annotations.NullMarked;
