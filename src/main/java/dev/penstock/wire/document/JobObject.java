package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.util.RawValue;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.job.Waiting;
import dev.penstock.wire.Json;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Builds the object of a job in the form of the REST API. */
public final class JobObject {
    private static final Set<String> ADDED = Set.of("job", "metadata");

    private JobObject() {}

    /**
     * The content of an outcome, as JSON texts.
     *
     * @param event the whole event; empty to leave it out, as in lists
     * @param error the error, without the text of an answer that does not fit
     */
    public record Ending(
            String event, @Nullable String error, @Nullable String usage) {}

    /**
     * Returns the object of a job, from the facts that are known.
     *
     * @param place the number of jobs that get a slot before this job; null if it does not wait, or the number is
     *     unknown
     * @param wait the estimated wait; null if the place is null
     * @param ending the outcome; null if the job has not ended
     * @param waiting why the job does not run now; null if it runs or has ended
     */
    public static ObjectNode of(
            JobState job,
            @Nullable Integer place,
            @Nullable Duration wait,
            @Nullable Ending ending,
            @Nullable Waiting waiting) {
        ObjectNode object = Json.mapper().createObjectNode();
        object.put("id", job.id().value()).put("object", "job");
        object.put("status", job.status().wireName());
        object.put("task", job.task().wireName()).put("model", job.model());
        object.put("priority", job.priority().wireName()).put("tenant", job.tenant());
        object.put("created_at", job.createdAt().toString());
        object.put("started_at", text(job.startedAt()));
        object.put("finished_at", text(job.finishedAt()));
        object.put("attempts", job.attempts());
        object.put("node", job.node()).put("backend", job.backend());
        object.put("queue_position", place);
        if (wait != null) {
            object.put("estimated_wait_ms", wait.toMillis());
        }
        if (waiting != null) {
            object.putObject("waiting_for")
                    .put("code", waiting.code().wireName())
                    .put("message", waiting.message())
                    .put("since", waiting.since().toString());
        }
        RawValue response = ending == null || ending.event().isEmpty() ? null : response(ending.event());
        if (response == null) {
            object.putNull("response");
        } else {
            object.putRawValue("response", response);
        }
        object.set("error", ending == null ? null : error(ending));
        object.set("usage", ending == null ? null : json(ending.usage()));
        object.set("metadata", Json.mapper().valueToTree(new TreeMap<>(job.metadata())));
        return object;
    }

    /**
     * Returns the object for an id with which all records were refused.
     *
     * @param event the {@code rejected} event as JSON
     * @param at the time of the event
     */
    public static ObjectNode rejected(JobId id, String event, Instant at) {
        JsonNode parsed = Json.parseLenient(event);
        JsonNode document = parsed == null ? Json.mapper().createObjectNode() : parsed;
        ObjectNode object = Json.mapper().createObjectNode();
        object.put("id", id.value()).put("object", "job").put("status", "rejected");
        for (String unknown : List.of("task", "model", "priority", "tenant", "created_at", "started_at")) {
            object.putNull(unknown);
        }
        object.put("finished_at", at.toString()).put("attempts", 0);
        for (String none : List.of("node", "backend", "queue_position", "response")) {
            object.putNull(none);
        }
        object.set("error", document.get("error"));
        object.putNull("usage").putNull("metadata");
        object.set("dead_letter", document.path("job").get("dead_letter"));
        return object;
    }

    /**
     * Returns the model server's answer: a completed event without Penstock's additions. It stays text, because it may
     * be large.
     */
    private static @Nullable RawValue response(String event) {
        LargeObject root = LargeObject.of(event);
        if (root == null || !(root.has("choices") || root.has("data") || root.has("results"))) {
            return null;
        }
        String answer = root.without(ADDED);
        boolean truncated = root.path("job").path("truncated").asBoolean();
        return new RawValue(truncated ? answer.substring(0, answer.length() - 1) + ",\"truncated\":true}" : answer);
    }

    /** Returns the whole error if the event is there: the error alone lacks the text of an answer that does not fit. */
    private static @Nullable JsonNode error(Ending ending) {
        LargeObject event = ending.error() == null || ending.event().isEmpty() ? null : LargeObject.of(ending.event());
        return event != null && event.has("error") ? event.path("error") : json(ending.error());
    }

    private static @Nullable JsonNode json(@Nullable String text) {
        return text == null ? null : Json.parseLenient(text);
    }

    private static @Nullable String text(@Nullable Instant time) {
        return time == null ? null : time.toString();
    }

    /** Returns the object of a job that is being cancelled. */
    public static ObjectNode cancelling(JobId id) {
        return Json.mapper().valueToTree(Map.of("id", id.value(), "object", "job", "status", "cancelling"));
    }
}
