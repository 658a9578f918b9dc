/** Tests of {@code dev.penstock.intake.record}. */
@NullMarked
package dev.penstock.intake.record;

import org.jspecify.annotations.NullMarked;
