/** Tests of {@code dev.penstock.execution}. */
@NullMarked
package dev.penstock.execution;

import org.jspecify.annotations.NullMarked;
