/** Tests of {@code dev.penstock.schedule}. */
@NullMarked
package dev.penstock.schedule;

import org.jspecify.annotations.NullMarked;
