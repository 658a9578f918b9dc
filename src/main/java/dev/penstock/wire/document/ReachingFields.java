package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.InvalidField;
import java.util.Map;
import java.util.Set;

/**
 * Refuses fields that give a client access to a server's internals: its slots and caches, other clients' requests and
 * files, its templates and loaded files. Penstock sets such fields itself. {@code penstock.jobs.allowed-fields} lets
 * jobs set some of them.
 */
public final class ReachingFields {
    /** Fields of the body, outside of the messages. */
    private static final Set<String> OF_BODY = Set.of(
            "id_slot",
            "slot_id",
            "cache_prompt",
            "n_cache_reuse",
            "cache_salt",
            "lora",
            "lora_request",
            "priority",
            "request_id",
            "kv_transfer_params",
            "ec_transfer_params",
            "chat_template",
            "chat_template_kwargs",
            "add_generation_prompt",
            "continue_final_message",
            "mm_processor_kwargs",
            "media_io_kwargs",
            "vllm_xargs",
            "prompt_embeds",
            "logits_processors",
            "custom_logit_processor",
            "custom_params",
            "bootstrap_host",
            "bootstrap_port",
            "bootstrap_room",
            "lora_path",
            "session_params",
            "image_data",
            "video_data",
            "audio_data",
            "rid",
            // in Azure, the sources that the server queries for the client
            "data_sources",
            "extra_key",
            "data_parallel_rank",
            "template",
            "raw",
            "context",
            "keep_alive",
            "options");

    /**
     * Fields in a part of a message: media that the server keeps (vLLM's cache), and files that are stored under
     * Penstock's own key (OpenAI, Anthropic).
     */
    private static final Set<String> OF_PARTS = Set.of("uuid", "file_id");

    /**
     * Fields that are not searched. The arguments of a tool call are for the tool, and the history only repeats the
     * citations of an answer.
     */
    private static final Set<String> UNREAD = Set.of("input", "arguments", "citations", "annotations");

    private ReachingFields() {}

    /** Returns whether a job may set this field only if the configuration allows it. */
    public static boolean has(String field) {
        return OF_BODY.contains(field) || OF_PARTS.contains(field);
    }

    /** @param allowed the fields that the configuration allows */
    static void refuse(ObjectNode root, Set<String> allowed) throws InvalidField {
        for (Map.Entry<String, JsonNode> field : root.properties()) {
            refuse(OF_BODY, field.getKey(), field.getKey(), allowed);
        }
        for (int i = 0; i < root.path("messages").size(); i++) {
            inside("messages[" + i + "].content", root.path("messages").path(i).path("content"), allowed);
        }
    }

    private static void inside(String path, JsonNode node, Set<String> allowed) throws InvalidField {
        for (int i = 0; node.isArray() && i < node.size(); i++) {
            inside(path + "[" + i + "]", node.path(i), allowed);
        }
        for (Map.Entry<String, JsonNode> field : node.properties()) {
            String there = path + "." + field.getKey();
            if (!field.getValue().isNull()) {
                refuse(OF_PARTS, field.getKey(), there, allowed);
            }
            if (!UNREAD.contains(field.getKey())) {
                inside(there, field.getValue(), allowed);
            }
        }
    }

    private static void refuse(Set<String> reaching, String field, String path, Set<String> allowed)
            throws InvalidField {
        if (reaching.contains(field) && !allowed.contains(field)) {
            throw new InvalidField(
                    path, "reaches into the model server, and is not among penstock.jobs.allowed-fields");
        }
    }
}
