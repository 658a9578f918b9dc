/** Tests of {@code dev.penstock.wire.document}. */
@NullMarked
package dev.penstock.wire.document;

import org.jspecify.annotations.NullMarked;
