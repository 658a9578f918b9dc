/** Tests of {@code dev.penstock.job}. */
@NullMarked
package dev.penstock.job;

import org.jspecify.annotations.NullMarked;
