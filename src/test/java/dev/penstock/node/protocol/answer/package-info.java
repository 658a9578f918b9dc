/** Tests of {@code dev.penstock.node.protocol.answer}. */
@NullMarked
package dev.penstock.node.protocol.answer;

import org.jspecify.annotations.NullMarked;
