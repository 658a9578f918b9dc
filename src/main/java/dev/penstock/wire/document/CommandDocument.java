package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobId;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A record of the commands topic: {@code {"command":"cancel","id":"…"}}. The other command is {@code forget}: from then
 * on, no caller finds the job, which has ended.
 */
public final class CommandDocument {
    private static final String CANCEL = "cancel";
    private static final String FORGET = "forget";

    private CommandDocument() {}

    public static byte[] cancel(JobId id) {
        return write(CANCEL, id);
    }

    public static byte[] forget(JobId id) {
        return write(FORGET, id);
    }

    private static byte[] write(String command, JobId id) {
        return Json.bytes(Map.of("command", command, "id", id.value()));
    }

    /** Returns the job to cancel; empty for any other record, because other programs may write to the topic too. */
    public static Optional<JobId> cancelled(byte @Nullable [] value) {
        return job(CANCEL, value);
    }

    /** Returns the job that no caller finds any more; empty for any other record. */
    public static Optional<JobId> forgotten(byte @Nullable [] value) {
        return job(FORGET, value);
    }

    private static Optional<JobId> job(String wanted, byte @Nullable [] value) {
        JsonNode command = value == null ? null : Json.parseLenient(new String(value, StandardCharsets.UTF_8));
        if (command == null || !command.path("command").asText("").equals(wanted)) {
            return Optional.empty();
        }
        String id = command.path("id").asText("");
        return JobId.isValid(id) ? Optional.of(new JobId(id)) : Optional.empty();
    }
}
