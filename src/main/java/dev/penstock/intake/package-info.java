/** Jobs enter: records of the job topics become runs, and REST submissions become records. */
@NullMarked
package dev.penstock.intake;

import org.jspecify.annotations.NullMarked;
