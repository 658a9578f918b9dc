/** The endpoints that Anthropic's clients call: messages, and the count of their tokens. */
@NullMarked
package dev.penstock.api.anthropic;

import org.jspecify.annotations.NullMarked;
