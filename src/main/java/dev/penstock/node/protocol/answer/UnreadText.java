package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import java.util.Set;

/** A server has sent text in a field that no parser reads. The text must not get lost. */
final class UnreadText extends Exception {
    /** The fields around an answer that have no text of the answer. */
    private static final Set<String> BESIDE = Set.of(
            "id",
            "object",
            "type",
            "role",
            "name",
            "index",
            "status",
            "model",
            "created",
            "created_at",
            "usage",
            "timings",
            "metrics",
            "metadata",
            "logprobs",
            "prompt_logprobs",
            "annotations",
            "citations",
            "citation",
            "search_results",
            "context",
            "stop_reason",
            "stop_sequence",
            "matched_stop",
            "native_finish_reason",
            "finish_details",
            "content_filter_results",
            "content_filter_result",
            "content_filter_offsets",
            "system_fingerprint",
            "service_tier",
            "provider",
            "provider_specific_fields",
            "extra_content",
            "cache_control",
            "signature",
            "thinking_signature",
            "reasoning_signature",
            "thought_signature",
            "reasoning_opaque",
            "encrypted_content",
            "tool_name",
            "routed_experts",
            "hidden_states",
            "phase",
            "channel",
            "recipient");

    UnreadText(String what) {
        super(what, null, false, false);
    }

    /** Returns the path of the field with the unread text, or a description of the text. */
    String what() {
        return String.valueOf(getMessage());
    }

    /**
     * Throws if an object has text in a field that its parser does not read.
     *
     * @param path the path of the object
     * @param read the names of the fields that its parser reads
     */
    static void check(String path, JsonNode object, Set<String> read) throws UnreadText {
        for (Map.Entry<String, JsonNode> field : object.properties()) {
            String name = field.getKey();
            boolean known =
                    read.contains(name) || BESIDE.contains(name) || name.endsWith("_id") || name.endsWith("_ids");
            if (!known && carriesText(field.getValue())) {
                throw new UnreadText(path.isEmpty() ? name : path + "." + name);
            }
        }
    }

    private static boolean carriesText(JsonNode value) {
        if (value.isTextual()) {
            return !value.textValue().isEmpty();
        }
        for (JsonNode inner : value) {
            if (carriesText(inner)) {
                return true;
            }
        }
        return false;
    }
}
