package dev.penstock.testkit.upstream;

import java.time.Instant;

/**
 * The request, and the common parts of its answer in every dialect.
 *
 * @param id unique, hexadecimal
 */
record Said(UpstreamRequest request, Answer.Content.Text text, String model, String id, Instant at) {

    /** Returns one token in about four characters, unless the script sets the number. */
    int promptTokens() {
        return text.promptTokens().orElse(1 + request.prompt().length() / 4);
    }

    /** Returns whether this is OpenAI's completions or Ollama's generate: text in, text out. */
    boolean plainText() {
        String path = request.path();
        return path.equals("/api/generate") || (path.endsWith("/completions") && !path.endsWith("/chat/completions"));
    }

    String finishReason() {
        return Dialect.quoted(text.finishReason());
    }
}
