package dev.penstock.node.signals;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.wire.Json;
import java.util.HashSet;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A document in which a model server shows its load. */
public enum SignalSource {
    /** Gauges in the text format of Prometheus; older versions have another name for the use of the cache. */
    VLLM_METRICS("vllm:", "/metrics") {
        @Override
        public Optional<Signals> read(String document) {
            GaugeText gauges = new GaugeText(document);
            OptionalDouble cache = gauges.largest("vllm:kv_cache_usage_perc");
            return signals(
                    gauges.sum("vllm:num_requests_running"),
                    gauges.sum("vllm:num_requests_waiting"),
                    cache.isPresent() ? cache : gauges.largest("vllm:gpu_cache_usage_perc"));
        }
    },
    /** Gauges, if llama-server runs with {@code --metrics}. */
    LLAMA_METRICS("llama-server:", "/metrics") {
        @Override
        public Optional<Signals> read(String document) {
            GaugeText gauges = new GaugeText(document);
            return signals(
                    gauges.sum("llamacpp:requests_processing"),
                    gauges.sum("llamacpp:requests_deferred"),
                    OptionalDouble.empty());
        }
    },
    /** The slots of llama-server. They do not show the requests that wait for a slot. */
    LLAMA_SLOTS("llama-server:", "/slots") {
        @Override
        public Optional<Signals> read(String document) {
            JsonNode slots = Json.parseLenient(document);
            if (slots == null || !slots.isArray() || slots.isEmpty()) {
                return Optional.empty();
            }
            int running = 0;
            for (JsonNode slot : slots) {
                running += slot.path("is_processing").asBoolean() ? 1 : 0;
            }
            return Optional.of(Signals.of(running, 0, 0));
        }
    },
    /** The models that Ollama has in memory. Ollama reports no requests. */
    OLLAMA_PS("ollama:", "/api/ps") {
        @Override
        public Optional<Signals> read(String document) {
            JsonNode running = Json.parseLenient(document);
            return running != null && running.path("models").isArray()
                    ? Optional.of(new Signals(0, 0, 0, Optional.of(loaded(running))))
                    : Optional.empty();
        }
    };

    /** More requests than any server has: a larger figure is a mistake of the server. */
    private static final double MOST_REQUESTS = 1_000_000;

    private final String server;
    private final String path;

    SignalSource(String server, String path) {
        this.server = server;
        this.path = path;
    }

    public String path() {
        return path;
    }

    /** Returns the name in the node object, such as {@code vllm:/metrics}. */
    public String wireName() {
        return server + path;
    }

    /** Returns what a document says; empty if it lacks the figures. */
    public abstract Optional<Signals> read(String document);

    /** Returns the names in Ollama's list of the models in memory. */
    public static Set<String> loaded(@Nullable JsonNode running) {
        Set<String> loaded = new HashSet<>();
        if (running != null) {
            running.path("models")
                    .forEach(model -> loaded.add(model.path("name").asText()));
        }
        return loaded;
    }

    private static Optional<Signals> signals(OptionalDouble running, OptionalDouble waiting, OptionalDouble cache) {
        return isCount(running) && isCount(waiting)
                ? Optional.of(Signals.of(
                        (int) running.getAsDouble(), (int) waiting.getAsDouble(), Math.max(0, cache.orElse(0))))
                : Optional.empty();
    }

    private static boolean isCount(OptionalDouble figure) {
        return figure.isPresent() && figure.getAsDouble() >= 0 && figure.getAsDouble() <= MOST_REQUESTS;
    }
}
