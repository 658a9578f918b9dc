/** Tests of {@code dev.penstock.node}. */
@NullMarked
package dev.penstock.node;

import org.jspecify.annotations.NullMarked;
