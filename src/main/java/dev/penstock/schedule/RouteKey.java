package dev.penstock.schedule;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The properties of a job that decide which nodes may serve it. Jobs with equal keys may use the same nodes. */
public record RouteKey(@Nullable String model, Task task, PromptJob.Pins pins) {
    public static RouteKey of(PromptJob job) {
        return new RouteKey(job.model(), job.task(), job.pins());
    }

    /** Returns the key as JSON, for a header. */
    public byte[] toJson() {
        ObjectNode node = Json.mapper().createObjectNode().put("task", task.wireName());
        put(node, "model", model);
        put(node, "pool", pins.pool());
        put(node, "node", pins.node());
        return Json.bytes(node);
    }

    private static void put(ObjectNode node, String name, @Nullable String value) {
        if (value != null) {
            node.put(name, value);
        }
    }

    /** Reads the result of {@link #toJson}; empty if the header has another value. */
    public static Optional<RouteKey> ofJson(byte @Nullable [] json) {
        JsonNode node = json == null ? null : Json.parseLenient(new String(json, StandardCharsets.UTF_8));
        return node == null
                ? Optional.empty()
                : Stream.of(Task.values())
                        .filter(task -> task.wireName().equals(node.path("task").asText()))
                        .findFirst()
                        .map(task -> new RouteKey(
                                node.path("model").asText(null),
                                task,
                                new PromptJob.Pins(
                                        node.path("pool").asText(null),
                                        node.path("node").asText(null))));
    }
}
