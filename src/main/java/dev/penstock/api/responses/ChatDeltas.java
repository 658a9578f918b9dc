package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.TokenEvent;
import java.util.ArrayList;
import java.util.List;

/** Reads the deltas from a chunk, or from a whole answer, in the form of OpenAI's chat completions. */
final class ChatDeltas {
    private ChatDeltas() {}

    /** Returns the deltas of the first choice, in the order in which a stream has them. */
    static List<TokenEvent> of(JsonNode event) {
        List<TokenEvent> deltas = new ArrayList<>();
        for (JsonNode choice : event.path("choices")) {
            if (choice.path("index").asInt() == 0) {
                read(choice, choice.has("delta") ? choice.path("delta") : choice.path("message"), deltas);
            }
        }
        return OutputEvents.inOrder(deltas);
    }

    private static void read(JsonNode choice, JsonNode message, List<TokenEvent> deltas) {
        for (TokenEvent.Field field : TokenEvent.Field.values()) {
            if (message.path(field.wireName()).isTextual()) {
                deltas.add(new TokenEvent.Text(
                        0, field, message.path(field.wireName()).textValue()));
            }
        }
        int place = 0;
        for (JsonNode call : message.path("tool_calls")) {
            JsonNode function = call.path("function");
            deltas.add(new TokenEvent.ToolCall(
                    0,
                    call.path("index").asInt(place),
                    call.path("id").asText(null),
                    function.path("name").asText(null),
                    function.path("arguments").asText("")));
            place++;
        }
        if (choice.path("logprobs").isObject()) {
            deltas.add(new TokenEvent.Logprobs(0, choice.path("logprobs")));
        }
        if (choice.path("finish_reason").isTextual()) {
            deltas.add(new TokenEvent.Finish(0, choice.path("finish_reason").textValue()));
        }
    }
}
