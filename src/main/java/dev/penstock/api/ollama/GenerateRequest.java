package dev.penstock.api.ollama;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.InvalidField;
import java.util.List;
import java.util.Set;

/**
 * Translates a request to {@code /api/generate} into the body of a direct call. At Ollama, such a request is a chat with
 * one message of the user, because its prompt goes through the model's template. So it becomes a chat too. A request
 * with {@code raw}, {@code template} or {@code suffix} becomes a completion.
 */
final class GenerateRequest {
    private GenerateRequest() {}

    /**
     * @param model the name of the model in jobs
     * @param allowedFields the fields that the configuration allows in jobs
     */
    static Asked of(OllamaBody request, String model, Set<String> allowedFields) throws InvalidField {
        String prompt = request.text("prompt");
        if (prompt.isEmpty()) {
            return new Asked.NoPrompt(request.reasonWithoutPrompt());
        }
        JsonNode context = request.get("context");
        if (context != null && !context.isEmpty()) {
            throw new InvalidField(
                    "context", "is not available in this version: send the conversation to /api/chat instead");
        }
        List<String> images = OllamaBody.images("images", request.get("images"));
        boolean raw = request.fields().flag("raw").orElse(false);
        String template = request.text("template");
        String suffix = request.text("suffix");
        String system = request.text("system");
        ObjectNode call = request.call(model, allowedFields);
        if (!raw && template.isEmpty() && suffix.isEmpty()) {
            ArrayNode messages = call.putArray("messages");
            if (!system.isEmpty()) {
                messages.addObject().put("role", "system").put("content", system);
            }
            ChatRequest.content(messages.addObject().put("role", "user"), prompt, images);
            request.chatLogprobs(call);
            return new Asked.Call(call);
        }
        if (!images.isEmpty()) {
            throw new InvalidField("images", "cannot stand beside raw, template or suffix");
        }
        call.put("prompt", prompt);
        if (raw) {
            call.put("raw", true);
        }
        putText(call, "system", system);
        putText(call, "template", template);
        putText(call, "suffix", suffix);
        if (request.fields().flag("logprobs").orElse(false)) {
            // the logprobs of a completion are a number
            JsonNode top = request.get("top_logprobs");
            call.put("logprobs", top == null ? 0 : top.asInt());
        }
        return new Asked.Call(call);
    }

    private static void putText(ObjectNode call, String name, String text) {
        if (!text.isEmpty()) {
            call.put(name, text);
        }
    }
}
