/** Takes the records of a job topic by a share group. */
@NullMarked
package dev.penstock.intake.share;

import org.jspecify.annotations.NullMarked;
