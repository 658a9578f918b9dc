/** The parsers of what model servers answer: bytes into lines, lines into token events. */
@NullMarked
package dev.penstock.node.protocol.answer;

import org.jspecify.annotations.NullMarked;
