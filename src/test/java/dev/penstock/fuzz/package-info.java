/** Generated input of every kind against the packaged service: {@code make fuzz}. */
@NullMarked
package dev.penstock.fuzz;

import org.jspecify.annotations.NullMarked;
