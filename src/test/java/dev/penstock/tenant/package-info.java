/** Tests of {@code dev.penstock.tenant}. */
@NullMarked
package dev.penstock.tenant;

import org.jspecify.annotations.NullMarked;
