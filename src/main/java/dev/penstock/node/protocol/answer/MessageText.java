package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.TokenEvent.Field;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Reads the text of a message, or of a piece of a message, in every form that servers use: a string, a part, or a list
 * of parts.
 */
final class MessageText {
    /** The fields of a message that this class reads. */
    static final Set<String> READ = Set.of(
            "content",
            "refusal",
            "reasoning",
            "reasoning_content",
            "reasoning_details",
            "thinking",
            "thinking_blocks",
            "tool_calls",
            "function_call",
            "finish_reason");

    private static final Set<String> OF_PART =
            Set.of("text", "content", "thinking", "reasoning", "summary", "refusal", "data");

    private static final List<String> OF_REASONING =
            List.of("reasoning", "reasoning_content", "thinking", "reasoning_details");

    private Map<Field, StringBuilder> text = Map.of();

    private MessageText() {}

    /**
     * Reads the text of a message.
     *
     * @param path the path of the message, for error messages
     */
    static Map<Field, StringBuilder> of(String path, JsonNode message) throws UnreadText {
        MessageText parsed = new MessageText();
        parsed.add(path, "content", Field.CONTENT, message.path("content"));
        parsed.add(path, "refusal", Field.REFUSAL, message.path("refusal"));
        parsed.reasoning(path, message);
        return parsed.text;
    }

    /** Reads the text of one value outside of a message. */
    static Map<Field, StringBuilder> of(String path, Field field, JsonNode value) throws UnreadText {
        if (value.isMissingNode()) {
            return Map.of();
        }
        MessageText parsed = new MessageText();
        parsed.add(path, field, value);
        return parsed.text;
    }

    /**
     * Reads the reasoning. vLLM 0.32 and Ollama's /v1 use the field reasoning; llama-server and older versions of vLLM
     * use reasoning_content. Some servers send the same text in both fields.
     */
    private void reasoning(String path, JsonNode message) throws UnreadText {
        String heard = "";
        for (String name : OF_REASONING) {
            JsonNode given = message.get(name);
            if (given == null) {
                continue;
            }
            MessageText one = new MessageText();
            one.add(path, name, Field.REASONING, given);
            String words = String.valueOf(one.text.getOrDefault(Field.REASONING, new StringBuilder()));
            if (!words.isEmpty() && !heard.isEmpty() && !words.equals(heard)) {
                if (!name.equals("reasoning_details")) {
                    throw new UnreadText(path + "." + name + " (beside other reasoning)");
                }
            } else if (heard.isEmpty()) {
                heard = words;
            }
        }
        if (!heard.isEmpty()) {
            append(Field.REASONING, heard);
        }
    }

    /** Adds a field of an object. Most fields are text or missing, and need no path. */
    private void add(String path, String name, Field field, JsonNode value) throws UnreadText {
        if (value.isTextual()) {
            append(field, value.textValue());
        } else if (!value.isNull() && !value.isMissingNode()) {
            add(path + "." + name, field, value);
        }
    }

    private void add(String path, Field field, JsonNode value) throws UnreadText {
        if (value.isTextual()) {
            append(field, value.textValue());
        } else if (value.isArray()) {
            int at = 0;
            for (JsonNode part : value) {
                add(path + "[" + at++ + "]", field, part);
            }
        } else if (value.isObject()) {
            part(path, field, value);
        } else if (!value.isNull() && !value.isMissingNode()) {
            throw new UnreadText(path + " (a " + value.getNodeType().name().toLowerCase(java.util.Locale.ROOT) + ")");
        }
    }

    private void part(String path, Field around, JsonNode part) throws UnreadText {
        String type = part.path("type").asText("");
        Field field = switch (type) {
            case "", "text", "output_text", "input_text", "text_delta" -> around;
            case "refusal" -> Field.REFUSAL;
            case "thinking",
                    "thinking_delta",
                    "redacted_thinking",
                    "reasoning",
                    "reasoning_text",
                    "reasoning_content",
                    "reasoning.text",
                    "reasoning.summary",
                    "reasoning.encrypted",
                    "summary_text" -> Field.REASONING;
            default -> null;
        };
        if (field == null) {
            UnreadText.check(path + " of type " + type, part, Set.of());
            return;
        }
        UnreadText.check(path, part, OF_PART);
        for (String name : new String[] {"text", "content", "thinking", "reasoning", "summary", "refusal"}) {
            Field of = switch (name) {
                case "thinking", "reasoning" -> Field.REASONING;
                case "refusal" -> Field.REFUSAL;
                default -> field;
            };
            add(path, name, of, part.path(name));
        }
        if (part.path("data").isTextual() && field != Field.REASONING) {
            throw new UnreadText(path + ".data");
        }
    }

    private void append(Field field, String words) {
        if (!words.isEmpty()) {
            if (text.isEmpty()) {
                text = new EnumMap<>(Field.class);
            }
            text.computeIfAbsent(field, _ -> new StringBuilder()).append(words);
        }
    }
}
