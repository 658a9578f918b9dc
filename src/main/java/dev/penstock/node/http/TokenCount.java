package dev.penstock.node.http;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import io.vertx.core.http.HttpMethod;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;

/** Asks a server for the number of a chat's tokens. */
final class TokenCount {
    private static final Duration PATIENCE = Duration.ofSeconds(3);

    private TokenCount() {}

    /** Returns the number; empty if the server cannot count, refuses the chat, or does not answer. */
    static OptionalLong at(NodeClient client, Prompt prompt) throws InterruptedException {
        try {
            Optional<WireProtocol.Request> request = client.protocol().count(prompt);
            if (request.isEmpty()) {
                return OptionalLong.empty();
            }
            JsonNode answer = client.call(
                            HttpMethod.POST,
                            request.get().path(),
                            request.get().bodies().getFirst(),
                            PATIENCE)
                    .json();
            long tokens = answer == null ? 0 : answer.path("input_tokens").asLong();
            return tokens > 0 ? OptionalLong.of(tokens) : OptionalLong.empty();
        } catch (WireProtocol.Unsupported | NodeClient.Unreachable _) {
            return OptionalLong.empty();
        }
    }
}
