package dev.penstock.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import java.util.Set;

/**
 * Fields that let a client reach into a server: into its slots and caches, other people's requests and files, its templates and
 * what it loads. Penstock sets its own. {@code penstock.jobs.allowed-fields} lets some in.
 */
public final class ReachingFields {
    /** Beside the messages. */
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
            // of Azure: places that the server asks for the client
            "data_sources",
            "extra_key",
            "data_parallel_rank",
            "template",
            "raw",
            "context",
            "keep_alive",
            "options");

    /** In a part of a message: media that the server keeps (vLLM's cache), files that are stored under Penstock's own key (OpenAI, Anthropic). */
    private static final Set<String> OF_PARTS = Set.of("uuid", "file_id");

    /** What a tool is called with is the tool's to read; what an answer cited comes back in the history. */
    private static final Set<String> UNREAD = Set.of("input", "arguments", "citations", "annotations");

    private ReachingFields() {}

    /** Whether a field may stand in a body only where the configuration allows it. */
    public static boolean has(String field) {
        return OF_BODY.contains(field) || OF_PARTS.contains(field);
    }

    /** @param allowed those that may stand there all the same */
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
