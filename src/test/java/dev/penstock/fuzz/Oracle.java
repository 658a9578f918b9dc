package dev.penstock.fuzz;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.wire.document.BodyHash;
import dev.penstock.wire.document.CommandDocument;
import dev.penstock.wire.document.EventDocument;
import dev.penstock.wire.document.JobDocument;
import dev.penstock.wire.record.EventHeaders;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.UUID;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/** Runs the product's own readers on an input. None of them may throw an exception. */
final class Oracle {
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
    private static final JobDocument.Defaults DEFAULTS = new JobDocument.Defaults(
            Priority.NORMAL, JobDocument.TENANT_FROM_RECORD, Duration.ofMinutes(10), Duration.ofHours(1));

    private Oracle() {}

    /** Reads like all readers of its topic. */
    static void read(Input input) {
        switch (input) {
            case Input.TopicRecord record -> record(record);
            case Input.Call call -> body(call.request());
            case Input.Said _ -> {
                // its readers need a connection: node.KeptAnswersTest
            }
        }
    }

    private static void record(Input.TopicRecord record) {
        var headers = record.kafkaHeaders();
        byte[] value = record.value();
        switch (record.topic()) {
            case "prompt-replies" -> {
                EventMark mark = EventHeaders.mark(headers).orElse(null);
                if (mark != null && value != null) {
                    JobRow.accepted(job(), NOW).after(mark, 1, NOW.toEpochMilli(), Bytes.wrap(value));
                }
                if (value != null) {
                    EventDocument.failure(value);
                    EventDocument.seq(new String(value, StandardCharsets.UTF_8));
                }
                EventDocument.rejectedPlace(value);
            }
            case "prompt-commands" -> CommandDocument.cancelled(value);
            default -> job(EventHeaders.text(headers, EventHeaders.JOB_ID), value);
        }
        EventHeaders.number(headers, EventHeaders.NOT_BEFORE);
        EventHeaders.number(headers, EventHeaders.HANDED_BACK);
    }

    private static void body(byte[] request) {
        String text = new String(request, StandardCharsets.ISO_8859_1);
        int end = text.indexOf("\r\n\r\n");
        byte[] body = text.substring(end < 0 ? 0 : end + 4).getBytes(StandardCharsets.ISO_8859_1);
        job(null, body);
    }

    private static void job(@Nullable String headerId, byte @Nullable [] value) {
        JobId derived = JobId.derived(new UUID(1, 2), 0, 1, NOW);
        JobDocument.Arrival arrival = new JobDocument.Arrival(headerId, derived, NOW);
        switch (JobDocument.parse(value, arrival, DEFAULTS)) {
            case JobDocument.Parsed.Valid(var job) -> {
                if (value != null) {
                    BodyHash.of(value);
                }
                JobRow.accepted(job, NOW).state();
            }
            case JobDocument.Parsed.Refused _ -> JobDocument.idOfTooLarge(value, arrival);
        }
    }

    private static PromptJob job() {
        JobDocument.Arrival arrival = new JobDocument.Arrival(null, new JobId("fz-1"), NOW);
        return switch (JobDocument.parse("{\"prompt\":\"x\"}".getBytes(StandardCharsets.UTF_8), arrival, DEFAULTS)) {
            case JobDocument.Parsed.Valid(var job) -> job;
            case JobDocument.Parsed.Refused _ -> throw new IllegalStateException("a sound job is refused");
        };
    }
}
