/** Tests of {@code dev.penstock.api.openai}. */
@NullMarked
package dev.penstock.api.openai;

import org.jspecify.annotations.NullMarked;
