package dev.penstock.api.anthropic;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Answer;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Writes an answer as a message of Anthropic's API. A message has one choice, so other choices are left out. */
final class MessageAnswer {
    private static final String OPENAI_ID = "chatcmpl-";

    private MessageAnswer() {}

    /** Returns a whole message: its thinking, then its text, then its calls. */
    static ObjectNode whole(Answer answer) {
        Answer.Choice choice = answer.choices().getFirst();
        ObjectNode message = head(answer.head());
        ArrayNode content = message.putArray("content");
        thinking(choice, content);
        String text = choice.text().getOrDefault(TokenEvent.Field.CONTENT, "")
                + choice.text().getOrDefault(TokenEvent.Field.REFUSAL, "");
        if (!text.isEmpty()) {
            content.addObject().put("type", "text").put("text", text);
        }
        for (Answer.ToolCall call : choice.toolCalls()) {
            JsonNode input = Json.parseLenient(call.arguments());
            ObjectNode block = content.addObject()
                    .put("type", "tool_use")
                    .put("id", call.id())
                    .put("name", call.name());
            // arguments that the length limit cut are no object
            block.set("input", input instanceof ObjectNode ? input : block.objectNode());
        }
        stop(choice, message);
        message.set("usage", usage(answer.usage()));
        return message;
    }

    /** Returns a message without its content. Its usage is not known yet. */
    static ObjectNode begun(Answer.Head head) {
        ObjectNode message = head(head);
        message.putArray("content");
        message.putNull("stop_reason").putNull("stop_sequence");
        message.set("usage", usage(Usage.NONE));
        return message;
    }

    private static ObjectNode head(Answer.Head head) {
        String id = head.id();
        return Json.mapper()
                .createObjectNode()
                .put("id", "msg_" + (id.startsWith(OPENAI_ID) ? id.substring(OPENAI_ID.length()) : id))
                .put("type", "message")
                .put("role", "assistant")
                .put("model", head.model());
    }

    /** Writes the signed blocks, or, if the server signs nothing, one block with the reasoning. */
    private static void thinking(Answer.Choice choice, ArrayNode content) {
        List<ObjectNode> blocks = new ArrayList<>();
        for (Object given : choice.thinking()) {
            ObjectNode block = thought(given);
            if (block != null) {
                blocks.add(block);
            }
        }
        String reasoning = choice.text().getOrDefault(TokenEvent.Field.REASONING, "");
        boolean signed = blocks.stream().anyMatch(MessageAnswer::isThinking);
        if (!reasoning.isEmpty() && !signed) {
            content.addObject()
                    .put("type", "thinking")
                    .put("thinking", reasoning)
                    .put("signature", "");
        }
        blocks.forEach(content::add);
    }

    /** Returns a block of thinking with only the fields of such a block; null for any other block. */
    static @Nullable ObjectNode thought(Object given) {
        JsonNode block = Json.mapper().valueToTree(given);
        ObjectNode thought = Json.mapper().createObjectNode();
        return switch (block.path("type").asText("")) {
            case "thinking" ->
                thought.put("type", "thinking")
                        .put("thinking", block.path("thinking").asText(""))
                        .put("signature", block.path("signature").asText(""));
            case "redacted_thinking" ->
                thought.put("type", "redacted_thinking")
                        .put("data", block.path("data").asText(""));
            default -> null;
        };
    }

    static boolean isThinking(ObjectNode block) {
        return block.path("type").asText().equals("thinking");
    }

    /** Writes the fields stop_reason and stop_sequence. */
    static void stop(Answer.Choice choice, ObjectNode into) {
        String reason = choice.finishReason() == null ? "stop" : choice.finishReason();
        boolean refuses = choice.text().containsKey(TokenEvent.Field.REFUSAL);
        into.put(
                "stop_reason",
                switch (reason) {
                    case "length" -> "max_tokens";
                    case "content_filter" -> "refusal";
                    case "tool_calls" -> "tool_use";
                    default ->
                        refuses
                                ? "refusal"
                                // OpenAI's servers also say "stop" after a call that the request demanded
                                : !choice.toolCalls().isEmpty()
                                        ? "tool_use"
                                        : choice.stopSequence() == null ? "end_turn" : "stop_sequence";
                });
        into.put(
                "stop_sequence",
                into.path("stop_reason").asText().equals("stop_sequence") ? choice.stopSequence() : null);
    }

    /**
     * Returns the counts of tokens. Anthropic counts the tokens that were read from the cache apart from the others.
     * Penstock does not know how many tokens were written to the cache: they are part of input_tokens.
     */
    static ObjectNode usage(Usage usage) {
        return Json.mapper()
                .createObjectNode()
                .put("input_tokens", Math.max(0, usage.promptTokens() - usage.cachedTokens()))
                .putNull("cache_creation_input_tokens")
                .put("cache_read_input_tokens", usage.cachedTokens())
                .put("output_tokens", usage.completionTokens());
    }
}
