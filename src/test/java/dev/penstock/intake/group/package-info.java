/** Tests of {@code dev.penstock.intake.group}. */
@NullMarked
package dev.penstock.intake.group;

import org.jspecify.annotations.NullMarked;
