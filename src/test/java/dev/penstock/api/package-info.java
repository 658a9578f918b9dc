/** Tests of {@code dev.penstock.api}. */
@NullMarked
package dev.penstock.api;

import org.jspecify.annotations.NullMarked;
