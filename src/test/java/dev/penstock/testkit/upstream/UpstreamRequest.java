package dev.penstock.testkit.upstream;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;

/**
 * A request as it arrived.
 *
 * @param sequence its number among its kind (generating or not) since the start or the last reset, from 1
 * @param path without the query
 * @param headers by lower-case name
 * @param body a missing node if there was none
 * @param model empty if the body names none
 * @param stream the server's reading: a missing value means yes for Ollama, and no for others
 * @param prompt the text of the last message, or the prompt. If the last message is the assistant's, which the answer
 *     continues, it is the text of the message before
 * @param continued the text that the answer continues; empty if the answer starts over
 */
public record UpstreamRequest(
        long sequence,
        String method,
        String path,
        Map<String, String> headers,
        JsonNode body,
        String model,
        boolean stream,
        String prompt,
        String continued) {

    static UpstreamRequest of(long sequence, RequestReader.Head head, JsonNode body) {
        boolean ollama = head.path().startsWith("/api/");
        return new UpstreamRequest(
                sequence,
                head.method(),
                head.path(),
                head.headers(),
                body,
                head.path().startsWith("/openai/deployments/")
                        ? head.path().split("/", -1)[3]
                        : body.path("model").asText(""),
                body.path("stream").asBoolean(ollama),
                prompt(body),
                continues(body.path("messages")) ? text(last(body.path("messages"))) : "");
    }

    /** Returns the number of choices in the answer. */
    int choices() {
        return Math.max(1, body.path("n").asInt(1));
    }

    boolean wantsUsage() {
        return body.path("stream_options").path("include_usage").asBoolean(false);
    }

    private static String prompt(JsonNode body) {
        JsonNode messages = body.path("messages");
        if (messages.isEmpty()) {
            return text(body.path("prompt"));
        }
        return text(continues(messages) ? messages.get(messages.size() - 2).path("content") : last(messages));
    }

    private static boolean continues(JsonNode messages) {
        return messages.size() > 1
                && messages.get(messages.size() - 1).path("role").asText().equals("assistant");
    }

    private static JsonNode last(JsonNode messages) {
        return messages.get(messages.size() - 1).path("content");
    }

    private static String text(JsonNode node) {
        if (!node.isArray()) {
            return node.asText("");
        }
        StringBuilder text = new StringBuilder();
        for (JsonNode part : node) {
            text.append(part.isTextual() ? part.asText() : part.path("text").asText(""));
        }
        return text.toString();
    }
}
