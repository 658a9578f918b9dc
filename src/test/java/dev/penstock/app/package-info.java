/** Tests of {@code dev.penstock.app}. */
@NullMarked
package dev.penstock.app;

import org.jspecify.annotations.NullMarked;
