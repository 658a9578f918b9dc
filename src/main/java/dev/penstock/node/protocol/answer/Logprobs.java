package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Comparator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Converts log probabilities to the form that chats have: a list {@code content} with an object for each token. */
final class Logprobs {
    /** The prefix that OpenAI and vLLM use for a token that is not valid UTF-8 by itself. */
    private static final String BYTES = "bytes:";

    private static final Pattern BYTE = Pattern.compile("\\\\x([0-9a-fA-F]{2})");

    private Logprobs() {}

    /**
     * Converts the older form, which completions have, to the form that chats have. The older form consists of parallel
     * lists: tokens, token_logprobs and top_logprobs.
     */
    static JsonNode inChatForm(JsonNode given) {
        JsonNode tokens = given.path("tokens");
        if (!tokens.isArray()) {
            return given;
        }
        ObjectNode logprobs = Json.mapper().createObjectNode();
        ArrayNode content = logprobs.putArray("content");
        for (int i = 0; i < tokens.size(); i++) {
            ObjectNode entry =
                    entry(tokens.path(i).asText(), given.path("token_logprobs").path(i));
            ArrayNode alternatives = entry.putArray("top_logprobs");
            given.path("top_logprobs").path(i).properties().stream()
                    .sorted(Comparator.comparingDouble(
                            alternative -> -alternative.getValue().asDouble()))
                    .forEach(alternative -> alternatives.add(entry(alternative.getKey(), alternative.getValue())));
            content.add(entry);
        }
        return logprobs;
    }

    private static ObjectNode entry(String token, JsonNode logprob) {
        ObjectNode entry = Json.mapper().createObjectNode().put("token", token);
        // the first token of an echoed prompt has no log probability
        entry.set("logprob", logprob.isNumber() ? logprob : entry.nullNode());
        ArrayNode bytes = entry.putArray("bytes");
        for (byte each : bytes(token)) {
            bytes.add(each & 0xff);
        }
        return entry;
    }

    private static byte[] bytes(String token) {
        if (!token.startsWith(BYTES)) {
            return token.getBytes(StandardCharsets.UTF_8);
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Matcher each = BYTE.matcher(token);
        while (each.find()) {
            bytes.write(Integer.parseInt(each.group(1), 16));
        }
        return bytes.toByteArray();
    }
}
