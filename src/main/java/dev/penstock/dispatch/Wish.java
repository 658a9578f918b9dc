package dev.penstock.dispatch;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What decides where a job may go: jobs of one wish find the same nodes. */
public record Wish(@Nullable String model, Task task, PromptJob.Pins pins) {
    static Wish of(PromptJob job) {
        return new Wish(job.model(), job.task(), job.pins());
    }

    /** As a header has it. */
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

    /** Empty where it is none of ours. */
    public static Optional<Wish> ofJson(byte @Nullable [] json) {
        JsonNode node = json == null ? null : Json.parseLenient(new String(json, StandardCharsets.UTF_8));
        return node == null
                ? Optional.empty()
                : Stream.of(Task.values())
                        .filter(task -> task.wireName().equals(node.path("task").asText()))
                        .findFirst()
                        .map(task -> new Wish(
                                node.path("model").asText(null),
                                task,
                                new PromptJob.Pins(
                                        node.path("pool").asText(null),
                                        node.path("node").asText(null))));
    }
}
