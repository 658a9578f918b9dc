package dev.penstock.api.ollama;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.node.protocol.InlineData;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Reads a request of Ollama's API. A field that is null counts as absent, as it does at Ollama. */
record OllamaBody(ObjectNode root, Fields fields) {
    private static final Set<String> THINK_LEVELS = Set.of("low", "medium", "high", "max");
    private static final Pattern BASE64 = Pattern.compile("[A-Za-z0-9+/=\\s]++");

    static OllamaBody parse(byte[] document) throws InvalidField {
        JsonNode parsed;
        try {
            parsed = Json.parseStrict(document);
        } catch (Json.MalformedJson e) {
            throw new InvalidField(e.failure());
        }
        if (!(parsed instanceof ObjectNode root)) {
            throw new InvalidField("$", "expected a JSON object, got " + Fields.kind(parsed));
        }
        return new OllamaBody(root, new Fields("", root));
    }

    /** Returns the name of the model, with the failure that Ollama's chat has for a missing name. */
    String model() throws InvalidField {
        return fields.text("model")
                .filter(name -> !name.isBlank())
                .orElseThrow(
                        () -> new InvalidField(JobFailure.of(JobFailure.Code.INVALID_REQUEST, "model is required")));
    }

    /** Returns a field; null if it is absent. */
    @Nullable
    JsonNode get(String name) {
        return fields.has(name) ? root.get(name) : null;
    }

    /** Returns a text field; empty text if it is absent. */
    String text(String name) throws InvalidField {
        return fields.text(name).orElse("");
    }

    /** Returns whether the client wants the answer in pieces. Ollama's default is true. */
    boolean streams() throws InvalidField {
        return fields.flag("stream").orElse(true);
    }

    /** Returns Ollama's reason for an answer to a request without a prompt: the model is loaded, or unloaded. */
    String reasonWithoutPrompt() {
        JsonNode keep = get("keep_alive");
        String text = keep == null ? "" : keep.asText();
        boolean none = keep != null && (keep.isNumber() ? keep.decimalValue().signum() == 0 : text.matches("0+[a-z]*"));
        return none ? "unload" : "load";
    }

    /** Returns a new body of a direct call, with the fields that chats and completions have in common. */
    ObjectNode call(String model, Set<String> allowedFields) throws InvalidField {
        ObjectNode call = JsonNodeFactory.instance.objectNode();
        call.put("model", model);
        call.put("stream", streams());
        OllamaOptions.of(get("options")).forEach(call::set);
        format().ifPresent(format -> call.set("response_format", format));
        think(call);
        JsonNode keep = get("keep_alive");
        if (keep != null && allowedFields.contains("keep_alive")) {
            call.set("keep_alive", keep);
        }
        return call;
    }

    /** Sets the fields that request log probabilities in a chat. */
    void chatLogprobs(ObjectNode call) throws InvalidField {
        if (fields.flag("logprobs").orElse(false)) {
            call.put("logprobs", true);
            JsonNode top = get("top_logprobs");
            if (top != null) {
                call.set("top_logprobs", top);
            }
        }
    }

    private Optional<ObjectNode> format() throws InvalidField {
        JsonNode format = get("format");
        if (format == null || (format.isTextual() && format.textValue().isEmpty())) {
            return Optional.empty();
        }
        ObjectNode translated = JsonNodeFactory.instance.objectNode();
        if (format.isObject()) {
            translated.put("type", "json_schema");
            translated.putObject("json_schema").put("name", "answer").set("schema", format);
            return Optional.of(translated);
        }
        if (format.asText().equals("json")) {
            return Optional.of(translated.put("type", "json_object"));
        }
        throw new InvalidField("format", "expected \"json\" or a JSON schema");
    }

    /**
     * Translates {@code think}. A level also becomes OpenAI's reasoning_effort. True and false go to Ollama nodes only,
     * because other servers refuse an effort for a model without thinking.
     */
    private void think(ObjectNode call) throws InvalidField {
        JsonNode think = get("think");
        if (think == null) {
            return;
        }
        boolean level = think.isTextual() && THINK_LEVELS.contains(think.textValue());
        if (!think.isBoolean() && !level) {
            throw new InvalidField("think", "expected true, false, low, medium, high or max");
        }
        call.set("think", think);
        if (level) {
            call.put("reasoning_effort", think.textValue().equals("max") ? "xhigh" : think.textValue());
        }
    }

    /** Returns the images in a field as data: URLs. */
    static List<String> images(String path, @Nullable JsonNode images) throws InvalidField {
        if (images == null || images.isNull()) {
            return List.of();
        }
        if (!images.isArray()) {
            throw new InvalidField(path, "expected an array of base64 strings, got " + Fields.kind(images));
        }
        List<String> urls = new ArrayList<>();
        for (int i = 0; i < images.size(); i++) {
            String image = images.get(i).asText();
            String data = image.startsWith("data:") ? image.substring(image.indexOf(',') + 1) : image;
            if (!images.get(i).isTextual() || !BASE64.matcher(data).matches()) {
                throw new InvalidField("%s[%d]".formatted(path, i), "expected an image in base64");
            }
            urls.add(InlineData.of(image).url());
        }
        return urls;
    }
}
