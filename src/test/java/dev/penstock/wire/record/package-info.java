/** Tests of {@code dev.penstock.wire.record}. */
@NullMarked
package dev.penstock.wire.record;

import org.jspecify.annotations.NullMarked;
