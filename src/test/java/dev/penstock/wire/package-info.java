/** Tests of {@code dev.penstock.wire}. */
@NullMarked
package dev.penstock.wire;

import org.jspecify.annotations.NullMarked;
