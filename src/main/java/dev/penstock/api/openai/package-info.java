/** The endpoint that OpenAI's clients call: the list of models. */
@NullMarked
package dev.penstock.api.openai;

import org.jspecify.annotations.NullMarked;
