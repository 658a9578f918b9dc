package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.TokenEvent.Field;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/**
 * One choice of an answer in OpenAI's form. Its text is in delta, in message or in text. Text elsewhere is {@link
 * UnreadText}. Not thread-safe.
 */
final class OpenAiChoice {
    private static final Set<String> READ = Set.of("delta", "message", "text", "finish_reason");

    private final int index;
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

    OpenAiChoice(int index) {
        this.index = index;
        calls = new ToolCalls(index);
    }

    /** @param answer identifies this answer among others */
    void read(JsonNode choice, boolean chat, String answer, Consumer<TokenEvent> events) throws UnreadText {
        calls.of(answer);
        UnreadText.check("choices[%d]".formatted(index), choice, READ);
        JsonNode delta = choice.path("delta");
        JsonNode message = choice.path("message");
        Map<Field, StringBuilder> ofDelta = text("delta", delta);
        Map<Field, StringBuilder> ofMessage = text("message", message);
        role(chat, delta, events);
        role(chat, message, events);
        emit(ofDelta, events);
        calls("delta", delta, events);
        boolean repeats = byDelta || !ofDelta.isEmpty();
        byDelta |= !ofDelta.isEmpty() || delta.path("tool_calls").size() > 0;
        emit(repeats ? rest(ofMessage) : ofMessage, events);
        calls("message", message, events);
        // the provider Together sends each piece both in delta and in text
        Map<Field, StringBuilder> ofText = MessageText.of("text", Field.CONTENT, choice.path("text"));
        Map<Field, StringBuilder> before = ofDelta.isEmpty() ? ofMessage : ofDelta;
        if (!before.containsKey(Field.CONTENT)) {
            emit(ofText, events);
        } else if (ofText.containsKey(Field.CONTENT)
                && !ofText.get(Field.CONTENT).toString().contentEquals(before.get(Field.CONTENT))) {
            throw new UnreadText("choices[%d].text (beside other content)".formatted(index));
        }
        if (choice.hasNonNull("logprobs")) {
            JsonNode logprobs = choice.get("logprobs");
            events.accept(new TokenEvent.Logprobs(index, chat ? logprobs : Logprobs.inChatForm(logprobs)));
        }
    }

    /** Returns the reason for which the choice ends; empty if it continues. */
    static String finishReason(JsonNode choice) {
        for (JsonNode place : new JsonNode[] {choice, choice.path("delta"), choice.path("message")}) {
            String reason = place.path("finish_reason").asText("").strip();
            if (!reason.isEmpty() && !place.path("finish_reason").isNull()) {
                return reason;
            }
        }
        return "";
    }

    void finish(String reason, Consumer<TokenEvent> events) {
        calls.open(events);
        events.accept(new TokenEvent.Finish(index, reason));
    }

    private Map<Field, StringBuilder> text(String name, JsonNode message) throws UnreadText {
        String path = "choices[%d].%s".formatted(index, name);
        if (!message.isObject()) {
            return MessageText.of(path, Field.CONTENT, message);
        }
        UnreadText.check(path, message, MessageText.READ);
        return MessageText.of(path, message);
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
     * Returns the new part of a whole message. Some servers end a stream of deltas with the whole message, which
     * mostly repeats the deltas.
     */
    private Map<Field, String> rest(Map<Field, StringBuilder> message) throws UnreadText {
        Map<Field, String> rest = new EnumMap<>(Field.class);
        for (Map.Entry<Field, StringBuilder> text : message.entrySet()) {
            Fingerprint before = fingerprints.getOrDefault(text.getKey(), new Fingerprint());
            String whole = text.getValue().toString();
            if (!before.begins(whole)) {
                throw new UnreadText("choices[%d].message (its deltas have another text)".formatted(index));
            }
            rest.put(text.getKey(), whole.substring(before.length));
        }
        return rest;
    }

    private void calls(String name, JsonNode message, Consumer<TokenEvent> events) throws UnreadText {
        String path = "choices[%d].%s".formatted(index, name);
        boolean repeats = byDelta && name.equals("message");
        int at = 0;
        for (JsonNode call : message.path("tool_calls")) {
            if (!repeats || at >= calls.size()) {
                calls.piece("%s.tool_calls[%d]".formatted(path, at), call, events);
            }
            at++;
        }
        JsonNode legacy = message.path("function_call");
        if (legacy.isObject() && !(repeats && !calls.isEmpty())) {
            UnreadText.check(path + ".function_call", legacy, Set.of("arguments"));
            calls.add(
                    null,
                    legacy.path("id").asText(""),
                    legacy.path("name").asText(""),
                    ToolCalls.arguments(legacy.path("arguments")),
                    events);
        }
    }
}
