package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.TokenEvent.Field;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Parses one choice of an answer in OpenAI's form. It reads text from the fields delta, message and text. Text in any
 * other field is an {@link UnreadText}. Not thread-safe.
 */
final class OpenAiChoice {
    private static final Set<String> READ = Set.of("delta", "message", "text", "finish_reason");

    private final int index;
    private final String path;
    private final String deltaPath;
    private final String messagePath;
    private final ToolCalls calls;
    private final Map<Field, Fingerprint> fingerprints = new EnumMap<>(Field.class);
    private boolean spoken;
    private boolean byDelta;

    /** A fingerprint of a text, in place of the text itself. */
    private static final class Fingerprint {
        private int length;
        private int hash;

        void add(CharSequence text) {
            for (int i = 0; i < text.length(); i++) {
                hash = 31 * hash + text.charAt(i);
            }
            length += text.length();
        }

        boolean begins(String text) {
            return text.length() >= length && text.substring(0, length).hashCode() == hash;
        }
    }

    /** @param answer the identity of this answer, which differs from all other answers */
    OpenAiChoice(int index, String answer) {
        this.index = index;
        path = "choices[" + index + "]";
        deltaPath = path + ".delta";
        messagePath = path + ".message";
        calls = new ToolCalls(index);
        calls.of(answer);
    }

    void read(JsonNode choice, boolean chat, Consumer<TokenEvent> events) throws UnreadText {
        UnreadText.check(path, choice, READ);
        JsonNode delta = choice.path("delta");
        JsonNode message = choice.path("message");
        Map<Field, StringBuilder> ofDelta = text(deltaPath, delta);
        Map<Field, StringBuilder> ofMessage = text(messagePath, message);
        role(chat, delta, events);
        role(chat, message, events);
        emit(ofDelta, events);
        calls(deltaPath, delta, false, events);
        boolean repeats = byDelta || !ofDelta.isEmpty();
        byDelta |= !ofDelta.isEmpty() || delta.path("tool_calls").size() > 0;
        emit(repeats ? rest(ofMessage) : ofMessage, events);
        calls(messagePath, message, byDelta, events);
        // the provider Together sends each piece both in delta and in text
        Map<Field, StringBuilder> ofText = MessageText.of("text", Field.CONTENT, choice.path("text"));
        Map<Field, StringBuilder> before = ofDelta.isEmpty() ? ofMessage : ofDelta;
        if (!before.containsKey(Field.CONTENT)) {
            emit(ofText, events);
        } else if (ofText.containsKey(Field.CONTENT)
                && !ofText.get(Field.CONTENT).toString().contentEquals(before.get(Field.CONTENT))) {
            throw new UnreadText(path + ".text (beside other content)");
        }
        if (choice.hasNonNull("logprobs")) {
            JsonNode logprobs = choice.get("logprobs");
            events.accept(new TokenEvent.Logprobs(index, chat ? logprobs : Logprobs.inChatForm(logprobs)));
        }
    }

    /** Returns the reason for which the choice ends; empty if it continues. */
    static String finishReason(JsonNode choice) {
        String reason = finishReasonIn(choice);
        if (reason.isEmpty()) {
            reason = finishReasonIn(choice.path("delta"));
        }
        return reason.isEmpty() ? finishReasonIn(choice.path("message")) : reason;
    }

    private static String finishReasonIn(JsonNode place) {
        JsonNode reason = place.path("finish_reason");
        return reason.isNull() ? "" : reason.asText("").strip();
    }

    /** Returns the stop string that ended the choice. vLLM reports it in stop_reason, and SGLang in matched_stop. */
    static @Nullable String stopSequence(JsonNode choice, String reason) {
        String text = choice.path("stop_reason").textValue();
        String matched = text == null ? choice.path("matched_stop").textValue() : text;
        return reason.equals("stop") ? matched : null;
    }

    void finish(String reason, @Nullable String stopSequence, Consumer<TokenEvent> events) {
        calls.open(events);
        events.accept(new TokenEvent.Finish(index, reason, stopSequence));
    }

    private static Map<Field, StringBuilder> text(String where, JsonNode message) throws UnreadText {
        if (!message.isObject()) {
            return MessageText.of(where, Field.CONTENT, message);
        }
        UnreadText.check(where, message, MessageText.READ);
        return MessageText.of(where, message);
    }

    private void role(boolean chat, JsonNode message, Consumer<TokenEvent> events) {
        String role = message.path("role").asText("");
        if (chat && !role.isEmpty() && message.path("role").isTextual() && !spoken) {
            spoken = true;
            events.accept(new TokenEvent.Role(index));
        }
    }

    private void emit(Map<Field, ? extends CharSequence> text, Consumer<TokenEvent> events) {
        text.forEach((field, words) -> {
            if (!words.isEmpty()) {
                fingerprints.computeIfAbsent(field, _ -> new Fingerprint()).add(words);
                events.accept(new TokenEvent.Text(index, field, words.toString()));
            }
        });
    }

    /**
     * Returns the new part of a whole message. After a stream of deltas, some servers also send the whole message,
     * which mostly repeats the deltas.
     */
    private Map<Field, String> rest(Map<Field, StringBuilder> message) throws UnreadText {
        Map<Field, String> rest = new EnumMap<>(Field.class);
        for (Map.Entry<Field, StringBuilder> text : message.entrySet()) {
            Fingerprint before = fingerprints.getOrDefault(text.getKey(), new Fingerprint());
            String whole = text.getValue().toString();
            if (!before.begins(whole)) {
                throw new UnreadText(messagePath + " (its deltas have another text)");
            }
            rest.put(text.getKey(), whole.substring(before.length));
        }
        return rest;
    }

    /** @param repeats whether the message may repeat the calls of the deltas before it */
    private void calls(String where, JsonNode message, boolean repeats, Consumer<TokenEvent> events) throws UnreadText {
        int at = 0;
        for (JsonNode call : message.path("tool_calls")) {
            if (!repeats || at >= calls.size()) {
                calls.piece("%s.tool_calls[%d]".formatted(where, at), call, events);
            }
            at++;
        }
        JsonNode legacy = message.path("function_call");
        if (legacy.isObject() && !(repeats && !calls.isEmpty())) {
            UnreadText.check(where + ".function_call", legacy, Set.of("arguments"));
            calls.add(
                    null,
                    legacy.path("id").asText(""),
                    legacy.path("name").asText(""),
                    ToolCalls.arguments(legacy.path("arguments")),
                    events);
        }
    }
}
