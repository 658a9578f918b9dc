package dev.penstock.route;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.route.match.Decision;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The properties of a job that decide which nodes may serve it. Jobs with equal keys may use the same nodes.
 *
 * @param model the model or profile with which the job runs
 * @param targets where the job's routing rule sends it
 */
public record RouteKey(@Nullable String model, Task task, PromptJob.Pins pins, Targets targets) {
    /** Creates the key of a job that no rule sends anywhere. */
    public RouteKey(@Nullable String model, Task task, PromptJob.Pins pins) {
        this(model, task, pins, Targets.NONE);
    }

    public static RouteKey of(PromptJob job, Decision decision) {
        return new RouteKey(decision.model(job.model()), job.task(), job.pins(), decision.targets());
    }

    /** Returns the key as JSON, for a header. */
    public byte[] toJson() {
        ObjectNode node = Json.mapper().createObjectNode().put("task", task.wireName());
        put(node, "model", model);
        put(node, "pool", pins.pool());
        put(node, "node", pins.node());
        if (!targets.isNone()) {
            node.put("rule", targets.rule());
            ArrayNode to = node.putArray("to");
            targets.names().forEach(to::add);
        }
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
                                        node.path("node").asText(null)),
                                targets(node)));
    }

    /** A header of an earlier version has no rule. */
    private static Targets targets(JsonNode node) {
        String rule = node.path("rule").asText("");
        List<String> names = new ArrayList<>();
        node.path("to").forEach(name -> names.add(name.asText()));
        return rule.isEmpty() || names.isEmpty() ? Targets.NONE : new Targets(rule, names);
    }
}
