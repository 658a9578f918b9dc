package dev.penstock.api.ollama;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.InvalidField;
import java.util.Set;

/** Translates requests to {@code /api/embed} and to the older {@code /api/embeddings} into the body of a direct call. */
final class EmbedRequest {
    private EmbedRequest() {}

    /**
     * @param model the name of the model in jobs
     * @param allowedFields the fields that the configuration allows in jobs
     */
    static Asked many(OllamaBody request, String model, Set<String> allowedFields) throws InvalidField {
        JsonNode input = request.get("input");
        if (input == null
                || (input.isTextual() && input.textValue().isEmpty())
                || (input.isArray() && input.isEmpty())) {
            return new Asked.NoPrompt("load");
        }
        boolean texts = input.isTextual() || input.isArray();
        for (JsonNode one : input) {
            texts &= one.isTextual();
        }
        if (!texts) {
            throw new InvalidField(JobFailure.of(JobFailure.Code.INVALID_REQUEST, "invalid input type"));
        }
        ObjectNode call = call(request, model, allowedFields);
        call.set("input", input);
        JsonNode dimensions = request.get("dimensions");
        if (dimensions != null
                && !(dimensions.isNumber() && dimensions.decimalValue().signum() == 0)) {
            call.set("dimensions", dimensions);
        }
        return new Asked.Call(call);
    }

    /** Translates a request of the older endpoint, which has one prompt and returns one embedding. */
    static Asked one(OllamaBody request, String model, Set<String> allowedFields) throws InvalidField {
        String prompt = request.text("prompt");
        if (prompt.isEmpty()) {
            return new Asked.NoPrompt("load");
        }
        return new Asked.Call(call(request, model, allowedFields).put("input", prompt));
    }

    private static ObjectNode call(OllamaBody request, String model, Set<String> allowedFields) throws InvalidField {
        OllamaOptions.of(request.get("options"));
        ObjectNode call = JsonNodeFactory.instance.objectNode();
        call.put("model", model).put("stream", false).put("encoding_format", "float");
        JsonNode keep = request.get("keep_alive");
        if (keep != null && allowedFields.contains("keep_alive")) {
            call.set("keep_alive", keep);
        }
        return call;
    }
}
