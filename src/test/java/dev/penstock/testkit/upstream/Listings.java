package dev.penstock.testkit.upstream;

import static dev.penstock.testkit.upstream.Dialect.quoted;

import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A server's answers about itself, in the form of the recordings.
 *
 * @param slots in llama-server's /props
 */
record Listings(Flavour flavour, List<ServedModel> models, int slots) {
    private static final String JSON = "";
    private static final String DIGEST = "a02f1aee4d8a78afac3b8ec47e309f186b9bf83f36a73aab69e9b680db1f7203";

    Listings {
        models = List.copyOf(models);
    }

    /** @param contentType empty for the JSON type of the server */
    record Page(int status, String contentType, String body) {}

    Optional<Page> get(String path, Instant now) {
        boolean vllm = flavour == Flavour.VLLM;
        return Optional.ofNullable(
                switch (path) {
                    case "/v1/models" -> json(vllm ? vllmModels(now) : llamaModels(now));
                    // with the api-version in its query
                    case "/openai/models" -> json(vllmModels(now));
                    case "/health" -> vllm ? new Page(200, JSON, "") : json("{\"status\":\"ok\"}");
                    case "/version" -> vllm ? json("{\"version\":\"" + VllmDialect.VERSION + "\"}") : null;
                    case "/props" -> vllm ? null : json(props());
                    case "/api/tags" -> json(list(_ -> true, this::tag));
                    case "/api/ps" -> json(list(ServedModel::loaded, model -> running(model, now)));
                    case "/api/version" -> json("{\"version\":\"" + OllamaDialect.VERSION + "\"}");
                    default -> null;
                });
    }

    /** Returns the answer for an unknown path. */
    Page missing(String path) {
        if (path.startsWith("/api/")) {
            return new Page(404, "text/plain", "404 page not found");
        }
        return new Page(
                404,
                JSON,
                flavour == Flavour.VLLM
                        ? "{\"detail\":\"Not Found\"}"
                        : "{\"error\":{\"message\":\"File Not Found\",\"type\":\"not_found_error\",\"code\":404}}");
    }

    private static Page json(String body) {
        return new Page(200, JSON, body);
    }

    private String list(Predicate<ServedModel> which, Function<ServedModel, String> entry) {
        return models.stream().filter(which).map(entry).collect(Collectors.joining(",", "{\"models\":[", "]}"));
    }

    private String vllmModels(Instant now) {
        long created = now.getEpochSecond();
        return models.stream()
                .map(model -> "{\"id\":" + quoted(model.name()) + ",\"object\":\"model\",\"created\":" + created
                        + ",\"owned_by\":\"vllm\",\"root\":" + quoted("models/" + model.name())
                        + ",\"parent\":null,\"max_model_len\":" + model.contextLength()
                        + ",\"permission\":[{\"id\":\"modelperm-b19a2c8f84072f6b\",\"object\":\"model_permission\","
                        + "\"created\":" + created
                        + ",\"allow_create_engine\":false,\"allow_sampling\":true,\"allow_logprobs\":true,"
                        + "\"allow_search_indices\":false,\"allow_view\":true,\"allow_fine_tuning\":false,"
                        + "\"organization\":\"*\",\"group\":null,\"is_blocking\":false}]}")
                .collect(Collectors.joining(",", "{\"object\":\"list\",\"data\":[", "]}"));
    }

    private String llamaModels(Instant now) {
        String legacy = models.stream()
                .map(model -> "{\"name\":" + quoted(model.name()) + ",\"model\":" + quoted(model.name())
                        + ",\"modified_at\":\"\",\"size\":\"\",\"digest\":\"\",\"type\":\"model\",\"description\":\"\","
                        + "\"tags\":[\"\"],\"capabilities\":[\"completion\"],\"parameters\":\"\",\"details\":{"
                        + "\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"\",\"families\":[\"\"],"
                        + "\"parameter_size\":\"\",\"quantization_level\":\"\"}}")
                .collect(Collectors.joining(","));
        String data = models.stream()
                .map(model -> "{\"id\":" + quoted(model.name()) + ",\"aliases\":[" + quoted(model.name())
                        + "],\"tags\":[],\"object\":\"model\",\"architecture\":{\"input_modalities\":[\"text\"],"
                        + "\"output_modalities\":[\"text\"]},\"created\":" + now.getEpochSecond()
                        + ",\"owned_by\":\"llamacpp\",\"meta\":{\"vocab_type\":2,\"n_vocab\":716,\"n_ctx\":"
                        + model.contextLength() + ",\"n_ctx_train\":" + model.contextLength()
                        + ",\"n_embd\":32,\"n_params\":56160,\"size\":112512,\"ftype\":\"F16\"}}")
                .collect(Collectors.joining(","));
        return "{\"models\":[" + legacy + "],\"object\":\"list\",\"data\":[" + data + "]}";
    }

    /** Returns the start and the end of the recorded document. Its long middle has nothing about the server. */
    private String props() {
        ServedModel model = models.isEmpty() ? ServedModel.of("none") : models.getFirst();
        return "{\"default_generation_settings\":{\"params\":{\"seed\":4294967295,\"max_tokens\":-1,\"stream\":false},"
                + "\"n_ctx\":" + model.contextLength() + "},\"total_slots\":" + slots + ",\"model_alias\":"
                + quoted(model.name()) + ",\"model_ftype\":\"F16\",\"model_path\":"
                + quoted("models/" + model.name() + ".gguf")
                + ",\"modalities\":{\"vision\":false,\"video\":false,\"audio\":false},\"endpoint_slots\":true,"
                + "\"endpoint_props\":false,\"endpoint_metrics\":true,\"ui\":false,\"ui_settings\":{},"
                + "\"chat_template\":\"\",\"chat_template_caps\":{},\"bos_token\":\"<s>\",\"eos_token\":\"<|im_end|>\","
                + "\"build_info\":\"b11669-Debian\",\"is_sleeping\":false,\"cors_proxy_enabled\":false}";
    }

    private String tag(ServedModel model) {
        return "{\"name\":" + quoted(model.name()) + ",\"model\":" + quoted(model.name())
                + ",\"modified_at\":\"2026-11-20T15:51:48.147768734Z\",\"size\":132918,\"digest\":\"" + DIGEST
                + "\",\"details\":{" + details() + ",\"context_length\":" + model.contextLength()
                + ",\"embedding_length\":32},\"capabilities\":[\"completion\"]}";
    }

    private String running(ServedModel model, Instant now) {
        return String.format(
                Locale.ROOT,
                "{\"name\":%1$s,\"model\":%1$s,\"size\":5242879,\"digest\":\"%2$s\",\"details\":{%3$s},"
                        + "\"expires_at\":\"%4$s\",\"size_vram\":0,\"context_length\":%5$d}",
                quoted(model.name()),
                DIGEST,
                details(),
                now.plusSeconds(300),
                model.contextLength());
    }

    private static String details() {
        return "\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"llama\",\"families\":[\"llama\"],"
                + "\"parameter_size\":\"56K\",\"quantization_level\":\"F16\"";
    }

    /** Returns the listings with this model added or replaced. */
    Listings with(ServedModel model) {
        return new Listings(
                flavour,
                Stream.concat(without(model.name()).models().stream(), Stream.of(model))
                        .toList(),
                slots);
    }

    Listings without(String name) {
        return new Listings(
                flavour,
                models.stream().filter(model -> !model.name().equals(name)).toList(),
                slots);
    }

    /** Looks up a model like Ollama: a name without a tag is the latest. */
    Optional<ServedModel> find(String name) {
        return models.stream()
                .filter(model -> model.name().equals(name) || model.name().equals(name + ":latest"))
                .findFirst();
    }
}
