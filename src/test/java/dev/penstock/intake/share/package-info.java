/** Tests of {@code dev.penstock.intake.share}. */
@NullMarked
package dev.penstock.intake.share;

import org.jspecify.annotations.NullMarked;
