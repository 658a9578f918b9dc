/** Tests of {@code dev.penstock.api.ollama}. */
@NullMarked
package dev.penstock.api.ollama;

import org.jspecify.annotations.NullMarked;
