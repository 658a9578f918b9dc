/** Jobs enter: records of the job topics become runs, and are acknowledged when their outcome is on the broker. */
@NullMarked
package dev.penstock.intake;

import org.jspecify.annotations.NullMarked;
