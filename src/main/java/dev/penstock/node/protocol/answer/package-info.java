/** The parsers of model servers' answers. They turn bytes into lines, and lines into token events. */
@NullMarked
package dev.penstock.node.protocol.answer;

import org.jspecify.annotations.NullMarked;
