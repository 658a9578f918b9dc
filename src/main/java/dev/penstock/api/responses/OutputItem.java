package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** An item in the output of a response, while its text grows. Not thread-safe. */
final class OutputItem {
    /** The kinds of items, each with the prefix of its ids. */
    enum Kind {
        REASONING("rs_"),
        MESSAGE("msg_"),
        FUNCTION_CALL("fc_");

        private final String prefix;

        Kind(String prefix) {
            this.prefix = prefix;
        }
    }

    enum Status {
        IN_PROGRESS,
        COMPLETED,
        INCOMPLETE;

        String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** A part of a message, or the text of reasoning. */
    static final class Part {
        private final PartType type;
        private final StringBuilder text = new StringBuilder();
        private final ArrayNode logprobs = Json.mapper().createArrayNode();

        Part(PartType type) {
            this.type = type;
        }

        PartType type() {
            return type;
        }

        void add(String more, ArrayNode probabilities) {
            text.append(more);
            logprobs.addAll(probabilities);
        }

        String text() {
            return text.toString();
        }

        ArrayNode logprobs() {
            return logprobs.deepCopy();
        }

        ObjectNode json() {
            return type.json(text(), logprobs());
        }
    }

    /** The types of parts. */
    enum PartType {
        OUTPUT_TEXT,
        REFUSAL,
        REASONING_TEXT,
        SUMMARY_TEXT;

        /** Returns a part of this type as JSON. */
        ObjectNode json(String text, ArrayNode logprobs) {
            ObjectNode part = Json.mapper().createObjectNode().put("type", name().toLowerCase(Locale.ROOT));
            return switch (this) {
                case OUTPUT_TEXT -> {
                    part.put("text", text).putArray("annotations");
                    part.set("logprobs", logprobs);
                    yield part;
                }
                case REFUSAL -> part.put("refusal", text);
                case REASONING_TEXT, SUMMARY_TEXT -> part.put("text", text);
            };
        }
    }

    private final Kind kind;
    private final int index;
    private final String id;
    private final int call;
    private final String callId;
    private final String name;
    private final StringBuilder arguments = new StringBuilder();
    private final List<Part> parts = new ArrayList<>();
    private Status status = Status.IN_PROGRESS;

    private OutputItem(Kind kind, int index, String base, int call, String callId, String name) {
        this.kind = kind;
        this.index = index;
        this.call = call;
        this.callId = callId;
        this.name = name;
        id = kind.prefix + base + "_" + index;
    }

    /**
     * @param index the item's place in the output
     * @param base the part of the item's id that all items of the response have in common
     */
    static OutputItem text(Kind kind, int index, String base) {
        return new OutputItem(kind, index, base, -1, "", "");
    }

    /** @param call the number of the call in the chat's answer */
    static OutputItem call(int index, String base, int call, String callId, String name) {
        return new OutputItem(Kind.FUNCTION_CALL, index, base, call, callId, name);
    }

    Kind kind() {
        return kind;
    }

    int index() {
        return index;
    }

    /** Returns the number of the call in the chat's answer; −1 if the item is no call. */
    int call() {
        return call;
    }

    String name() {
        return name;
    }

    String arguments() {
        return arguments.toString();
    }

    void addArguments(String more) {
        arguments.append(more);
    }

    List<Part> parts() {
        return parts;
    }

    boolean isOpen() {
        return status == Status.IN_PROGRESS;
    }

    void close(Status last) {
        status = last;
    }

    /** Returns the fields that each event of the item has. */
    ObjectNode place() {
        return Json.mapper().createObjectNode().put("item_id", id).put("output_index", index);
    }

    ObjectNode json() {
        return json(status);
    }

    /** Returns the item with another status. */
    ObjectNode json(Status shown) {
        ObjectNode item = Json.mapper().createObjectNode().put("id", id);
        item.put("type", kind.name().toLowerCase(Locale.ROOT)).put("status", shown.wireName());
        switch (kind) {
            case MESSAGE -> {
                item.put("role", "assistant");
                ArrayNode content = item.putArray("content");
                parts.forEach(part -> content.add(part.json()));
            }
            case REASONING -> {
                ArrayNode summary = item.putArray("summary");
                ArrayNode content = item.putArray("content");
                parts.forEach(part -> (part.type() == PartType.SUMMARY_TEXT ? summary : content).add(part.json()));
            }
            case FUNCTION_CALL -> item.put("call_id", callId).put("name", name).put("arguments", arguments.toString());
        }
        return item;
    }
}
