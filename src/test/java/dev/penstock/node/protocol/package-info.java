/** Tests of {@code dev.penstock.node.protocol}. */
@NullMarked
package dev.penstock.node.protocol;

import org.jspecify.annotations.NullMarked;
