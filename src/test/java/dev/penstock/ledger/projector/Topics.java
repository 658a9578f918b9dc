package dev.penstock.ledger.projector;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.ledger.row.Submissions;
import dev.penstock.wire.document.CommandDocument;
import dev.penstock.wire.document.EventDocument;
import dev.penstock.wire.record.EventHeaders;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.random.RandomGenerator;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;

/**
 * What the topics may contain about some jobs: records, duplicates with the same and with another body, deferred
 * records, commands, refusals, attempts that continue, late events of dead runs, and repeated outcomes.
 */
public final class Topics {
    private static final int REPLY_PARTITIONS = 3;
    private static final int JOB_PARTITIONS = 2;

    private final Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> logs = new HashMap<>();
    private final RandomGenerator random;
    private long millis = 1_700_000_000_000L;

    private Topics(RandomGenerator random) {
        this.random = random;
    }

    public static Topics random(RandomGenerator random, int jobs) {
        return random(random, "job-", jobs);
    }

    static Topics random(RandomGenerator random, String prefix, int jobs) {
        Topics topics = new Topics(random);
        for (int i = 0; i < jobs; i++) {
            topics.job(prefix + i);
        }
        return topics;
    }

    /** One id on more records and deferred records than a row keeps, and some of them refused. */
    void crowd(String name) {
        JobId id = new JobId(name);
        for (int i = 0; i < Submissions.MOST + 60; i++) {
            RecordPlace place = record(id, "hello");
            if (random.nextInt(3) == 0) {
                refused(id, place);
            }
            if (random.nextInt(20) == 0) {
                // from a record that the projector does not take for a job
                refused(id, new RecordPlace(place.topic(), place.partition(), place.offset() + 1_000));
            }
            int copies = random.nextInt(5);
            for (int copy = 0; copy < copies; copy++) {
                RecordPlace origin = new RecordPlace(place.topic(), 0, random.nextInt(1_000));
                append(
                        "prompt-jobs-deferred",
                        0,
                        EventHeaders.utf8(name),
                        new byte[] {'{', '}'},
                        new RecordHeaders()
                                .add(EventHeaders.JOB_ID, EventHeaders.utf8(name))
                                .add(EventHeaders.ORIGIN, EventHeaders.utf8(origin.path())));
            }
        }
    }

    private void refused(JobId id, RecordPlace place) {
        JobFailure failure = JobFailure.of(JobFailure.Code.ID_CONFLICT, "another body");
        event(
                id,
                EventMark.Kind.REJECTED,
                0,
                "intake",
                0,
                new JobEvent.Rejected(place, new RecordPlace("prompt-jobs-dlq", 1, 17), failure));
    }

    static int replyPartition(JobId id) {
        return Math.floorMod(id.value().hashCode(), REPLY_PARTITIONS);
    }

    Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> logs() {
        return logs;
    }

    List<ConsumerRecord<byte[], byte[]>> log(TopicPartition partition) {
        return logs.getOrDefault(partition, List.of());
    }

    /** The records of all partitions, one after the other. */
    public List<ConsumerRecord<byte[], byte[]>> all() {
        return logs.values().stream().flatMap(List::stream).toList();
    }

    private void job(String name) {
        JobId id = new JobId(name);
        List<RecordPlace> records = new ArrayList<>();
        int copies = random.nextInt(100) < 30 ? 2 + random.nextInt(2) : random.nextInt(100) < 5 ? 0 : 1;
        for (int i = 0; i < copies; i++) {
            records.add(record(id, random.nextInt(4) == 0 ? "other" : "hello"));
        }
        if (random.nextInt(4) == 0) {
            append(
                    "prompt-commands",
                    0,
                    name.getBytes(StandardCharsets.UTF_8),
                    CommandDocument.cancel(id),
                    new RecordHeaders());
        }
        if (random.nextInt(5) == 0) {
            append(
                    "prompt-commands",
                    0,
                    name.getBytes(StandardCharsets.UTF_8),
                    CommandDocument.forget(id),
                    new RecordHeaders());
        }
        if (random.nextInt(4) == 0) {
            Headers headers = new RecordHeaders().add("job-id", name.getBytes(StandardCharsets.UTF_8));
            append("prompt-jobs-deferred", 0, name.getBytes(StandardCharsets.UTF_8), new byte[] {'{', '}'}, headers);
        }
        if (copies > 1 && random.nextBoolean()) {
            RecordPlace struck = records.get(random.nextInt(records.size()));
            refused(id, struck);
        }
        RecordPlace place = records.isEmpty() ? new RecordPlace("prompt-jobs", 0, 0) : records.getFirst();
        int attempts = random.nextInt(4);
        for (int attempt = 1; attempt <= attempts; attempt++) {
            String run = "run" + random.nextInt(3);
            JobEvent started = new JobEvent.Started(
                    "node-" + random.nextInt(2), "vllm", "tiny", Instant.ofEpochMilli(millis), place, Map.of(), null);
            event(id, EventMark.Kind.STARTED, attempt, run, 0, started);
            if (random.nextInt(3) == 0) {
                event(id, EventMark.Kind.STARTED, Math.max(1, attempt - 1), "zombie", 0, started);
            }
            if (attempt == attempts || random.nextInt(3) == 0) {
                outcome(id, attempt, run);
            }
        }
        if (attempts == 0 && random.nextBoolean()) {
            outcome(id, 0, "janitor");
        }
    }

    private void outcome(JobId id, int attempt, String run) {
        switch (random.nextInt(3)) {
            case 0 -> event(id, EventMark.Kind.CANCELLED, attempt, run, 1, new JobEvent.Cancelled(null, Map.of()));
            case 1 -> event(id, EventMark.Kind.EXPIRED, attempt, run, 1, new JobEvent.Expired(null, Map.of()));
            default ->
                event(
                        id,
                        EventMark.Kind.FAILED,
                        attempt,
                        run,
                        1,
                        new JobEvent.Failed(JobFailure.of(JobFailure.Code.TIMEOUT, "too \0 long"), null, Map.of()));
        }
    }

    private RecordPlace record(JobId id, String prompt) {
        String document = """
                {"model":"tiny","prompt":"%s","metadata":{"n":"1"},"job":{"id":"%s","timeout":"PT5M","deadline":"PT1H"}}""".formatted(prompt, id);
        return append(
                "prompt-jobs",
                random.nextInt(JOB_PARTITIONS),
                id.value().getBytes(StandardCharsets.UTF_8),
                document.getBytes(StandardCharsets.UTF_8),
                new RecordHeaders());
    }

    private void event(JobId id, EventMark.Kind kind, int attempt, String run, long seq, JobEvent event) {
        byte[] key = EventHeaders.utf8(id.value());
        EventMark mark = new EventMark(kind, attempt, run, seq);
        append(
                "prompt-replies",
                replyPartition(id),
                key,
                EventDocument.write(id, mark, event),
                EventHeaders.of(key, mark, null));
    }

    private RecordPlace append(String topic, int partition, byte[] key, byte[] value, Headers headers) {
        List<ConsumerRecord<byte[], byte[]>> log =
                logs.computeIfAbsent(new TopicPartition(topic, partition), _ -> new ArrayList<>());
        millis += random.nextInt(3);
        log.add(new ConsumerRecord<>(
                topic,
                partition,
                log.size(),
                millis,
                TimestampType.LOG_APPEND_TIME,
                key.length,
                value.length,
                key,
                value,
                headers,
                Optional.empty()));
        return new RecordPlace(topic, partition, log.size() - 1L);
    }
}
