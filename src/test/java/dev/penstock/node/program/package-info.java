/** Tests of {@code dev.penstock.node.program}. */
@NullMarked
package dev.penstock.node.program;

import org.jspecify.annotations.NullMarked;
