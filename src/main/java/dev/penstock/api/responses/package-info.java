/**
 * OpenAI's Responses API: a response is a direct call, or a job in the background. Requests and answers are translated
 * from and to OpenAI's chat completions.
 */
@NullMarked
package dev.penstock.api.responses;

import org.jspecify.annotations.NullMarked;
