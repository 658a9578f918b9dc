package dev.penstock.intake.record;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.dispatch.TestDispatchers;
import dev.penstock.intake.group.GroupConsumerLoop;
import dev.penstock.intake.group.GroupPartition;
import dev.penstock.intake.group.PlayedLog;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.node.FakeNodes;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.PlayedRecovery;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.PlayedClock;
import dev.penstock.testkit.PlayedProducer;
import dev.penstock.wire.Json;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.opentelemetry.api.OpenTelemetry;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What becomes of a record after an unexpected exception. */
@Timeout(60)
class JobRecordsTest {
    private static final TopicPartition JOBS = new TopicPartition("prompt-jobs", 0);
    private static final TopicPartition DEFERRED = new TopicPartition("prompt-jobs-deferred", 1);

    private final Settings settings = TestSettings.ofFile(Map.of(
            "penstock.nodes.gpu-a.backend", "vllm",
            "penstock.nodes.gpu-a.url", "http://127.0.0.1:1"));
    private final FakeNodes nodes = new FakeNodes(settings, Clock.systemUTC());
    private final MockProducer<byte[], byte[]> events = PlayedProducer.of("prompt-replies", 1);
    private final MockProducer<byte[], byte[]> copies = PlayedProducer.of("prompt-jobs-deferred", 4);
    private final MockProducer<byte[], byte[]> letters = PlayedProducer.of("prompt-jobs-dlq", 4);
    /** The exception of the runs' clock; null: it shows the time. */
    private volatile @Nullable Error overflow;

    private volatile @Nullable RuntimeException broken;

    private final Clock runsClock = PlayedClock.of(() -> {
        RuntimeException exception = broken;
        Error error = overflow;
        if (exception != null) {
            throw exception;
        }
        if (error != null) {
            throw error;
        }
        return Instant.now();
    });

    /** How far the loop's clock is ahead: a retry comes without a wait. */
    private final AtomicLong aheadMillis = new AtomicLong(Duration.ofHours(1).toMillis());

    private final Clock loopClock = PlayedClock.of(() -> Instant.now().plusMillis(aheadMillis.addAndGet(20)));

    /** The ids of the topics; a test may let them throw. */
    private Map<String, UUID> topicIds = new HashMap<>(Map.of("prompt-jobs", new UUID(1, 2)));

    /** The job topic, for readers of a record's value. */
    private final MockConsumer<byte[], byte[]> leftOn = new MockConsumer<>("earliest");

    /** A replica's intake by a consumer group. */
    private final class Replica implements AutoCloseable {
        private final PlayedLog log;
        private final GroupConsumerLoop loop;
        private final Thread thread;

        Replica(TopicPartition partition) {
            SimpleMeterRegistry meters = new SimpleMeterRegistry();
            ReplyTopic replies = new ReplyTopic("prompt-replies", events, settings.maxRecord(), () -> 1 << 30);
            Recovery recovery = PlayedRecovery.of(replies, events);
            DeferredJobs deferredJobs = new DeferredJobs(copies, settings, Clock.systemUTC(), meters);
            PartitionsInFlight partitions = new PartitionsInFlight(settings, Clock.systemUTC(), meters);
            JobRecords records = new JobRecords(
                    topicIds,
                    settings,
                    TestDispatchers.of(settings, nodes, replies, recovery, runsClock),
                    replies,
                    recovery,
                    new InFlightRecords(settings, partitions, meters),
                    new LeftValues(() -> leftOn),
                    OpenTelemetry.noop().getTracer("test"));
            boolean deferred = partition.equals(DEFERRED);
            log = new PlayedLog(partition);
            loop = new GroupConsumerLoop(new GroupConsumerLoop.Setup(
                    partition.topic(),
                    () -> log,
                    record -> deferred ? deferredJobs.read(record) : Optional.of(OriginRecord.itself(record)),
                    deferred,
                    100,
                    Duration.ofHours(1),
                    () -> true,
                    GroupPartition.Early.NEVER,
                    records::start,
                    _ -> {},
                    _ -> {},
                    new RecordDelivery.Writers(deferredJobs, new DeadLetters("prompt-jobs-dlq", letters, meters)),
                    loopClock,
                    LoopTime.SYSTEM));
            thread = Thread.ofPlatform().start(loop);
        }

        void take(Function<Long, ConsumerRecord<byte[], byte[]>> record) throws InterruptedException {
            log.append(record);
            long end = log.committedOffset() < 0 ? 1 : log.committedOffset() + 1;
            Conditions.await(() -> log.committedOffset() == end);
        }

        @Override
        public void close() {
            loop.close();
            try {
                thread.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException(e);
            }
        }
    }

    @Test
    void a_job_whose_runs_break_before_they_start_ends_as_poison_after_four_over_restarts()
            throws InterruptedException {
        broken = new IllegalStateException("of the test");
        try (Replica replica = new Replica(JOBS)) {
            replica.take(job("breaks"));
        }
        for (int runs = 1; runs < 4; runs++) {
            assertThat(copies.history()).hasSize(runs);
            assertThat(header(copies.history().getLast(), "penstock-broken-runs"))
                    .isEqualTo("" + runs);
            try (Replica replica = new Replica(DEFERRED)) {
                replica.take(deferred(copies.history().getLast()));
            }
        }
        assertThat(events.history()).isEmpty();
        assertThat(letters.history()).isEmpty();
        try (Replica replica = new Replica(DEFERRED)) {
            replica.take(deferred(copies.history().getLast()));
        }

        assertThat(copies.history()).hasSize(4);
        assertThat(names("breaks")).containsExactly("failed 0");
        JsonNode failed = event("breaks");
        assertThat(failed.at("/error/code").asText()).isEqualTo("poison");
        assertThat(failed.at("/error/message").asText())
                .contains("4 runs of the job ended by an unexpected exception before it started");
        assertThat(letters.history()).hasSize(1);
        assertThat(header(letters.history().getFirst(), "dlq-reason")).isEqualTo("poison");
        assertThat(header(letters.history().getFirst(), "dlq-topic")).isEqualTo("prompt-jobs");
        assertThat(header(letters.history().getFirst(), "dlq-offset")).isEqualTo("0");
    }

    @Test
    void a_run_that_broke_once_is_run_again_and_ends_well() throws InterruptedException {
        overflow = new StackOverflowError();
        try (Replica replica = new Replica(JOBS)) {
            replica.take(job("once"));
        }
        overflow = null;
        nodes.server("gpu-a").up("tiny").onCall(call -> call.answer("Hi"));
        try (Replica replica = new Replica(DEFERRED)) {
            replica.take(deferred(copies.history().getLast()));
        }

        assertThat(names("once")).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(letters.history()).isEmpty();
    }

    /** The broker takes no deferred record: then this replica counts. */
    @Test
    void runs_that_break_are_counted_where_no_copy_can_be_written() throws InterruptedException {
        broken = new IllegalStateException("of the test");
        copies.sendException = new RecordTooLargeException("of the test");
        try (Replica replica = new Replica(JOBS)) {
            replica.take(job("breaks"));
        }

        assertThat(names("breaks")).containsExactly("failed 0");
        assertThat(letters.history()).hasSize(1);
    }

    /** Its reading fails, and that of no other. */
    @Test
    void a_record_whose_reading_throws_is_refused_and_the_next_job_runs() throws InterruptedException {
        topicIds = new HashMap<>(topicIds) {
            @Override
            public UUID getOrDefault(@Nullable Object topic, UUID otherwise) {
                RuntimeException exception = broken;
                if (exception != null) {
                    throw exception;
                }
                return super.getOrDefault(topic, otherwise);
            }
        };
        nodes.server("gpu-a").up("tiny").onCall(call -> call.answer("Hi"));
        try (Replica replica = new Replica(JOBS)) {
            broken = new IllegalStateException("with the words of a prompt");
            replica.take(job("unread"));
            broken = null;
            replica.take(job("next"));
        }

        assertThat(names("unread")).containsExactly("rejected 0");
        JsonNode rejected = event("unread");
        assertThat(rejected.at("/error/code").asText()).isEqualTo("invalid_request");
        assertThat(rejected.at("/error/message").asText()).isEqualTo("the record cannot be read as a job");
        assertThat(rejected.at("/job/record/offset").asInt()).isZero();
        ProducerRecord<byte[], byte[]> letter = letters.history().getFirst();
        assertThat(letters.history()).hasSize(1);
        assertThat(header(letter, "dlq-reason")).isEqualTo("invalid_request");
        assertThat(header(letter, "dlq-partition") + "@" + header(letter, "dlq-offset"))
                .isEqualTo("0@0");
        assertThat(letter.value()).isEqualTo(value("unread"));
        assertThat(RecordGuard.warnings().get("intake"))
                .contains("prompt-jobs-0@0", "IllegalStateException")
                .doesNotContain("prompt,");
        assertThat(names("next")).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(copies.history()).isEmpty();
    }

    @Test
    void a_value_that_a_poll_left_is_read_once_there_is_memory_for_it() throws InterruptedException {
        nodes.server("gpu-a").up("tiny").onCall(call -> call.answer("Hi"));
        leftOn.updateBeginningOffsets(Map.of(JOBS, 0L));
        leftOn.updateEndOffsets(Map.of(JOBS, 3L));
        leftOn.schedulePollTask(() -> leftOn.addRecord(job("left").apply(0L)));
        leftOn.schedulePollTask(() -> leftOn.addRecord(job("behind").apply(2L)));
        try (Replica replica = new Replica(JOBS)) {
            replica.take(offset -> left("left", offset));
            // a record that was deserialized in between is gone from the topic
            replica.take(offset -> left("gone", offset));
            replica.take(job("next"));
        }

        assertThat(names("left")).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(names("gone")).containsExactly("rejected 0");
        assertThat(names("next")).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(leftOn.paused()).as("it fetches nothing now").containsExactly(JOBS);
    }

    /** A record of a share consumer that had no memory for its value. */
    private static ConsumerRecord<byte[], byte[]> left(String id, long offset) {
        ConsumerRecord<byte[], byte[]> whole = job(id).apply(offset);
        return new ConsumerRecord<>(
                whole.topic(),
                whole.partition(),
                whole.offset(),
                whole.timestamp(),
                whole.timestampType(),
                whole.serializedKeySize(),
                whole.serializedValueSize(),
                whole.key(),
                null,
                whole.headers(),
                whole.leaderEpoch());
    }

    /** Neither the run nor the refusal succeeds, and no event can be sent. */
    @Test
    void a_record_that_can_be_neither_run_nor_refused_ends_as_a_dead_letter() throws InterruptedException {
        broken = new IllegalStateException("of the test");
        events.sendException = new IllegalStateException("of the test");
        try (Replica replica = new Replica(JOBS)) {
            replica.take(job("breaks"));
        }
        int tries = 1;
        while (copies.history().size() == tries) {
            tries++;
            try (Replica replica = new Replica(DEFERRED)) {
                replica.take(deferred(copies.history().getLast()));
            }
        }

        assertThat(tries).isEqualTo(7);
        assertThat(events.history()).isEmpty();
        assertThat(letters.history()).isNotEmpty();
        assertThat(header(letters.history().getLast(), "dlq-message")).contains("each of 6 tries");
    }

    private static byte[] value(String id) {
        return "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"job\":{\"id\":\"%s\"}}"
                .formatted(id)
                .getBytes(StandardCharsets.UTF_8);
    }

    private static Function<Long, ConsumerRecord<byte[], byte[]>> job(String id) {
        RecordHeaders headers = new RecordHeaders();
        headers.add("job-id", id.getBytes(StandardCharsets.UTF_8));
        return offset -> record(JOBS, offset, new byte[0], value(id), headers);
    }

    /** As the broker hands it out. */
    private static Function<Long, ConsumerRecord<byte[], byte[]>> deferred(ProducerRecord<byte[], byte[]> written) {
        return offset -> record(DEFERRED, offset, written.key(), written.value(), new RecordHeaders(written.headers()));
    }

    private static ConsumerRecord<byte[], byte[]> record(
            TopicPartition partition, long offset, byte[] key, byte[] value, RecordHeaders headers) {
        return new ConsumerRecord<>(
                partition.topic(),
                partition.partition(),
                offset,
                Instant.now().toEpochMilli(),
                TimestampType.LOG_APPEND_TIME,
                key.length,
                value.length,
                key,
                value,
                headers,
                Optional.empty());
    }

    private List<String> names(String id) {
        List<String> names = new ArrayList<>();
        for (ProducerRecord<byte[], byte[]> event : events.history()) {
            if (new String(event.key(), StandardCharsets.UTF_8).equals(id)) {
                names.add(header(event, "event") + " " + header(event, "attempt"));
            }
        }
        return names;
    }

    /** The last of a job. */
    private JsonNode event(String id) {
        return events.history().stream()
                .filter(event -> new String(event.key(), StandardCharsets.UTF_8).equals(id))
                .map(event -> Json.parseLenient(new String(event.value(), StandardCharsets.UTF_8)))
                .reduce((_, last) -> last)
                .orElseThrow();
    }

    private static String header(ProducerRecord<byte[], byte[]> record, String name) {
        Header header = record.headers().lastHeader(name);
        return header == null ? "" : new String(header.value(), StandardCharsets.UTF_8);
    }
}
