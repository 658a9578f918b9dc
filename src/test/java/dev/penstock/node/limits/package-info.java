/** Tests of {@code dev.penstock.node.limits}. */
@NullMarked
package dev.penstock.node.limits;

import org.jspecify.annotations.NullMarked;
