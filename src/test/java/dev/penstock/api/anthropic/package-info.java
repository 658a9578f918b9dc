/** Tests of {@code dev.penstock.api.anthropic}. */
@NullMarked
package dev.penstock.api.anthropic;

import org.jspecify.annotations.NullMarked;
