package dev.penstock.api.ollama;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import java.math.BigInteger;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Translates Ollama's options into the fields of a job. It leaves out unknown options, as Ollama does, and the options
 * with which a model is loaded, such as num_ctx. Those belong to a node's configuration: otherwise one client would make
 * Ollama reload the model for all clients.
 */
final class OllamaOptions {
    /** The options with the same values in a job, each with the job's field. */
    private static final Map<String, String> NUMBERS = Map.of(
            "temperature", "temperature",
            "top_p", "top_p",
            "min_p", "min_p",
            "typical_p", "typical_p",
            "presence_penalty", "presence_penalty",
            "frequency_penalty", "frequency_penalty",
            "repeat_penalty", "repetition_penalty",
            "mirostat_tau", "mirostat_tau",
            "mirostat_eta", "mirostat_eta");

    private static final Map<String, String> INTEGERS = Map.of(
            "top_k", "top_k",
            "repeat_last_n", "repeat_last_n",
            "num_keep", "n_keep",
            "mirostat", "mirostat");

    private OllamaOptions() {}

    /** Returns the fields of a job. */
    static Map<String, JsonNode> of(@Nullable JsonNode options) throws InvalidField {
        Map<String, JsonNode> fields = new LinkedHashMap<>();
        if (options == null) {
            return fields;
        }
        if (!options.isObject()) {
            throw new InvalidField("options", "expected an object, got " + Fields.kind(options));
        }
        for (Map.Entry<String, String> option : NUMBERS.entrySet()) {
            JsonNode value = options.get(option.getKey());
            if (value != null && !value.isNull()) {
                if (!value.isNumber()) {
                    throw wrong(option.getKey(), "a number", value);
                }
                fields.put(option.getValue(), value);
            }
        }
        for (Map.Entry<String, String> option : INTEGERS.entrySet()) {
            integer(options, option.getKey())
                    .ifPresent(value -> fields.put(option.getValue(), JsonNodeFactory.instance.numberNode(value)));
        }
        // a negative seed asks for any seed
        integer(options, "seed")
                .filter(seed -> seed.signum() >= 0)
                .ifPresent(seed -> fields.put("seed", JsonNodeFactory.instance.numberNode(seed)));
        // zero and negative numbers set no limit
        integer(options, "num_predict")
                .filter(limit -> limit.signum() > 0)
                .ifPresent(limit -> fields.put("max_tokens", JsonNodeFactory.instance.numberNode(limit)));
        stop(options.get("stop")).ifPresent(stop -> fields.put("stop", stop));
        return fields;
    }

    private static Optional<BigInteger> integer(JsonNode options, String name) throws InvalidField {
        JsonNode value = options.get(name);
        if (value == null || value.isNull()) {
            return Optional.empty();
        }
        if (!Fields.isInteger(value)) {
            throw wrong(name, "an integer", value);
        }
        return Optional.of(Fields.integer(value));
    }

    private static Optional<JsonNode> stop(@Nullable JsonNode stop) throws InvalidField {
        if (stop == null || stop.isNull() || (stop.isArray() && stop.isEmpty())) {
            return Optional.empty();
        }
        boolean texts = stop.isTextual() || stop.isArray();
        for (JsonNode one : stop) {
            texts &= one.isTextual();
        }
        if (!texts) {
            throw wrong("stop", "an array of strings", stop);
        }
        return Optional.of(stop);
    }

    private static InvalidField wrong(String option, String expected, JsonNode value) {
        return new InvalidField("options." + option, "expected %s, got %s".formatted(expected, Fields.kind(value)));
    }
}
