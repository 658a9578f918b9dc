package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobId;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A record of the commands topic: {@code {"command":"cancel","id":"…"}}. */
public final class CommandDocument {
    private CommandDocument() {}

    public static byte[] cancel(JobId id) {
        return Json.bytes(Map.of("command", "cancel", "id", id.value()));
    }

    /** Returns the job to cancel; empty for any other record, because other programs may write to the topic too. */
    public static Optional<JobId> cancelled(byte @Nullable [] value) {
        JsonNode command = value == null ? null : Json.parseLenient(new String(value, StandardCharsets.UTF_8));
        if (command == null || !command.path("command").asText("").equals("cancel")) {
            return Optional.empty();
        }
        String id = command.path("id").asText("");
        return JobId.isValid(id) ? Optional.of(new JobId(id)) : Optional.empty();
    }
}
