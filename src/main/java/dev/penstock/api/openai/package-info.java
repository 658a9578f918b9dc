/** The endpoints that OpenAI's clients call. */
@NullMarked
package dev.penstock.api.openai;

import org.jspecify.annotations.NullMarked;
