/** Takes jobs in: turns records of the job topics into runs, and REST submissions into records. */
@NullMarked
package dev.penstock.intake;

import org.jspecify.annotations.NullMarked;
