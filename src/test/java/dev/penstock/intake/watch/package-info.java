/** Tests of {@code dev.penstock.intake.watch}. */
@NullMarked
package dev.penstock.intake.watch;

import org.jspecify.annotations.NullMarked;
