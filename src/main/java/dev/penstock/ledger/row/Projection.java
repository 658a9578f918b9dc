package dev.penstock.ledger.row;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Waiting;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.BodyHash;
import dev.penstock.wire.document.CommandDocument;
import dev.penstock.wire.document.ErrorDocument;
import dev.penstock.wire.document.JobDocument;
import dev.penstock.wire.document.LargeObject;
import dev.penstock.wire.record.EventHeaders;
import dev.penstock.wire.record.RecordSize;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;

/**
 * Turns a record of any topic into a change of a job, as a pure function of the record. A chunk changes nothing and is
 * not parsed.
 */
public final class Projection {
    public static final Comparator<JobId> BY_VALUE = Comparator.comparing(JobId::value);
    private static final RecordGuard GUARD = RecordGuard.of("ledger");

    private final Settings settings;
    private final Map<String, UUID> topicIds;
    private final Map<String, JobDocument.Defaults> jobTopics = new HashMap<>();

    /** The change that one record makes to one job. */
    record Added(JobId id, JobRow.Change change) {}

    /** @param topicIds the id of each job topic; an id changes when its topic is recreated */
    public Projection(Settings settings, Map<String, UUID> topicIds) {
        this.settings = settings;
        this.topicIds = topicIds;
        for (Settings.JobTopic topic : settings.intake().topics()) {
            jobTopics.put(topic.name(), settings.defaults(topic));
        }
    }

    /** Returns the changes of each job, in the order of the records. */
    public SortedMap<JobId, List<JobRow.Change>> changes(Iterable<ConsumerRecord<byte[], byte[]>> records) {
        TreeMap<JobId, List<JobRow.Change>> changes = new TreeMap<>(BY_VALUE);
        for (ConsumerRecord<byte[], byte[]> record : records) {
            GUARD.read(
                    record,
                    () -> read(record)
                            .ifPresent(added -> changes.computeIfAbsent(added.id(), _ -> new ArrayList<>())
                                    .add(added.change())));
        }
        return changes;
    }

    Optional<Added> read(ConsumerRecord<byte[], byte[]> record) {
        JobDocument.Defaults defaults = jobTopics.get(record.topic());
        if (defaults != null) {
            UUID topicId = topicIds.get(record.topic());
            return topicId == null ? Optional.empty() : submitted(record, topicId, defaults);
        } else if (record.topic().equals(settings.topics().replies())) {
            return event(record);
        } else if (record.topic().equals(settings.topics().commands())) {
            return CommandDocument.cancelled(record.value())
                    .map(id -> new Added(id, new JobRow.Change.Cancel(record.timestamp())))
                    .or(() -> CommandDocument.forgotten(record.value())
                            .map(id -> new Added(id, new JobRow.Change.Forget(record.timestamp()))));
        } else if (record.topic().equals(settings.topics().deferred())) {
            return deferred(record);
        }
        return Optional.empty();
    }

    private Optional<Added> submitted(
            ConsumerRecord<byte[], byte[]> record, UUID topicId, JobDocument.Defaults defaults) {
        byte[] value = record.value();
        if (value == null || RecordSize.tooLarge(record, settings.maxRecord()).isPresent()) {
            return Optional.empty();
        }
        Instant acceptedAt = Instant.ofEpochMilli(record.timestamp());
        JobId derived = JobId.derived(topicId, record.partition(), record.offset(), acceptedAt);
        var arrival =
                new JobDocument.Arrival(EventHeaders.text(record.headers(), EventHeaders.JOB_ID), derived, acceptedAt);
        return switch (JobDocument.parse(value, arrival, defaults)) {
            case JobDocument.Parsed.Refused _ -> Optional.empty();
            case JobDocument.Parsed.Valid(PromptJob job) ->
                Optional.of(new Added(
                        job.id(),
                        new JobRow.Change.Submitted(
                                Submission.of(job, stamp(record), BodyHash.of(value)),
                                new String(value, StandardCharsets.UTF_8))));
        };
    }

    private static Optional<Added> deferred(ConsumerRecord<byte[], byte[]> record) {
        String id = String.valueOf(EventHeaders.text(record.headers(), EventHeaders.JOB_ID));
        // a record with an unreadable origin counts too, so that its job is not lost
        RecordPlace origin = RecordPlace.ofPath(
                        String.valueOf(EventHeaders.text(record.headers(), EventHeaders.ORIGIN)))
                .orElse(Submissions.UNKNOWN);
        Long handedBack = EventHeaders.number(record.headers(), EventHeaders.HANDED_BACK);
        int lastAttempt = handedBack == null ? 0 : Math.clamp(handedBack, 0, Integer.MAX_VALUE);
        Long due = EventHeaders.number(record.headers(), EventHeaders.NOT_BEFORE);
        Waiting.Code why = Waiting.Code.of(String.valueOf(EventHeaders.text(record.headers(), EventHeaders.WAITS_FOR)))
                .orElse(Waiting.Code.DEFERRED);
        Submissions.DeferredRecord deferred =
                new Submissions.DeferredRecord(stamp(record), origin, lastAttempt, due == null ? 0 : due, why);
        return JobId.isValid(id)
                ? Optional.of(new Added(new JobId(id), new JobRow.Change.Deferred(deferred)))
                : Optional.empty();
    }

    private static RecordStamp stamp(ConsumerRecord<?, ?> record) {
        return new RecordStamp(
                record.timestamp(), new RecordPlace(record.topic(), record.partition(), record.offset()));
    }

    private static Optional<Added> event(ConsumerRecord<byte[], byte[]> record) {
        EventMark mark = EventHeaders.mark(record.headers()).orElse(null);
        if (mark == null || mark.kind() == EventMark.Kind.CHUNK || record.key() == null || record.value() == null) {
            return Optional.empty();
        }
        String id = new String(record.key(), StandardCharsets.UTF_8);
        if (!JobId.isValid(id)) {
            return Optional.empty();
        }
        return change(record, mark).map(change -> new Added(new JobId(id), change));
    }

    private static Optional<JobRow.Change> change(ConsumerRecord<byte[], byte[]> record, EventMark mark) {
        if (mark.kind() == EventMark.Kind.REJECTED) {
            return Refusal.of(record.offset(), record.timestamp(), record.value())
                    .map(JobRow.Change.Refused::new);
        }
        return happened(mark, record.offset(), record.timestamp(), record.value());
    }

    /** Returns the change that a {@code started} or an outcome makes. A chunk changes nothing. */
    static Optional<JobRow.Change> happened(EventMark mark, long offset, long millis, byte[] value) {
        if (mark.kind() == EventMark.Kind.CHUNK) {
            return Optional.empty();
        }
        String text = new String(value, StandardCharsets.UTF_8);
        LargeObject document = LargeObject.of(text);
        if (document == null) {
            return Optional.empty();
        }
        boolean outcome = mark.kind().isOutcome();
        String run = Columns.name(mark.run());
        JobTimeline.Event event = new JobTimeline.Event(
                new EventMark(mark.kind(), mark.attempt(), run, mark.seq()),
                offset,
                millis,
                outcome ? null : started(document.path("job")));
        JobRow.Ending ending = outcome
                ? new JobRow.Ending(
                        text, json(ErrorDocument.withoutText(document.path("error"))), json(document.path("usage")))
                : null;
        return Optional.of(new JobRow.Change.Happened(event, ending));
    }

    private static JobTimeline.Started started(JsonNode job) {
        JsonNode record = job.path("record");
        return new JobTimeline.Started(
                new RecordPlace(
                        Columns.name(record.path("topic").asText("")),
                        record.path("partition").asInt(),
                        record.path("offset").asLong()),
                name(job.path("node")),
                name(job.path("backend")),
                name(job.path("model")));
    }

    private static @Nullable String name(JsonNode node) {
        String text = node.asText(null);
        return text == null ? null : Columns.name(text);
    }

    private static @Nullable String json(JsonNode node) {
        return node.isMissingNode() || node.isNull() ? null : new String(Json.bytes(node), StandardCharsets.UTF_8);
    }
}
