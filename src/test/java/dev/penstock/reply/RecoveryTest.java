package dev.penstock.reply;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.testkit.PlayedProducer;
import dev.penstock.wire.document.EventDocument;
import dev.penstock.wire.record.EventHeaders;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.record.TimestampType;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What earlier runs of a job did, by the reply partition alone. */
@Timeout(60)
class RecoveryTest {
    private static final String TOPIC = "prompt-replies";
    private static final TopicPartition PARTITION = new TopicPartition(TOPIC, 0);
    private static final Instant START = Instant.parse("2026-11-21T09:00:00Z");
    private static final JobId JOB = new JobId("mine");

    private final List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
    /** The offset that the last look-up began to read at. */
    private final AtomicReference<Long> began = new AtomicReference<>(-1L);

    private @Nullable KafkaException failure;
    private final Recovery recovery = new Recovery(new PartitionScans(_ -> log(), 1 << 20, TOPIC), topic());

    private MockConsumer<byte[], byte[]> log() {
        KafkaException why = failure;
        MockConsumer<byte[], byte[]> log = new MockConsumer<>("earliest") {
            @Override
            public synchronized Map<TopicPartition, OffsetAndTimestamp> offsetsForTimes(
                    Map<TopicPartition, Long> asked) {
                Map<TopicPartition, OffsetAndTimestamp> found = new HashMap<>();
                asked.forEach((place, millis) -> records.stream()
                        .filter(record -> record.timestamp() >= millis)
                        .findFirst()
                        .ifPresent(record ->
                                found.put(place, new OffsetAndTimestamp(record.offset(), record.timestamp()))));
                return found;
            }

            @Override
            public synchronized void seek(TopicPartition place, long offset) {
                began.set(offset);
                super.seek(place, offset);
            }
        };
        log.updateBeginningOffsets(Map.of(PARTITION, 0L));
        log.updateEndOffsets(Map.of(PARTITION, (long) records.size()));
        log.schedulePollTask(() -> records.stream()
                .filter(record -> record.offset() >= began.get())
                .forEach(log::addRecord));
        if (why != null) {
            log.setOffsetsException(why);
        }
        return log;
    }

    private static ReplyTopic topic() {
        return new ReplyTopic(TOPIC, PlayedProducer.of(TOPIC, 1), 1 << 20, () -> 1 << 30);
    }

    private void append(JobId id, EventMark mark, byte[] value, int second) {
        byte[] key = EventHeaders.utf8(id.value());
        records.add(new ConsumerRecord<>(
                TOPIC,
                0,
                records.size(),
                START.plusSeconds(second).toEpochMilli(),
                TimestampType.LOG_APPEND_TIME,
                key.length,
                value.length,
                key,
                value,
                EventHeaders.of(key, mark, null),
                Optional.empty()));
    }

    private void started(JobId id, int attempt, String run, int second) {
        append(id, new EventMark(EventMark.Kind.STARTED, attempt, run, 0), new byte[] {'{', '}'}, second);
    }

    private void failed(JobId id, int attempt, String run, int second) {
        EventMark mark = new EventMark(EventMark.Kind.FAILED, attempt, run, 1);
        JobFailure failure = JobFailure.of(JobFailure.Code.TIMEOUT, "too long");
        append(id, mark, EventDocument.write(id, mark, new JobEvent.Failed(failure, null, Map.of())), second);
    }

    @Test
    void a_job_that_never_ran_has_nothing() throws Exception {
        started(new JobId("another"), 1, "run", 0);

        Recovery.Known known = recovery.lookUp(JOB, START);

        assertThat(known.reading().isClosed()).isFalse();
        assertThat(known.reading().attempt()).isNegative();
        assertThat(known.firstStarted()).isNull();
        assertThat(known.nextOffset()).isEqualTo(1);
    }

    @Test
    void its_first_start_its_attempt_and_its_outcome_are_known() throws Exception {
        started(JOB, 1, "run-1", 10);
        started(new JobId("another"), 1, "run-2", 11);
        started(JOB, 2, "run-3", 12);
        failed(JOB, 2, "run-3", 13);

        Recovery.Known known = recovery.lookUp(JOB, START);

        assertThat(known.firstStarted()).isEqualTo(START.plusSeconds(10));
        assertThat(known.reading().attempt()).isEqualTo(2);
        assertThat(known.reading().outcome()).isEqualTo(EventMark.Kind.FAILED);
        assertThat(known.nextOffset()).isEqualTo(4);
    }

    @Test
    void events_from_before_the_record_are_not_read_apart_from_a_minute_of_skew() throws Exception {
        started(JOB, 1, "run-1", 0);
        started(JOB, 2, "run-2", 100);

        Recovery.Known known = recovery.lookUp(JOB, START.plusSeconds(90));

        assertThat(began).hasValue(1L);
        assertThat(known.firstStarted()).isEqualTo(START.plusSeconds(100));
        assertThat(recovery.lookUp(JOB, START.plusSeconds(60)).firstStarted()).isEqualTo(START);
    }

    @Test
    void a_second_look_reads_on_where_the_first_has_ended() throws Exception {
        started(JOB, 1, "run-1", 0);
        Recovery.Known first = recovery.lookUp(JOB, START);
        failed(JOB, 1, "run-1", 1);

        Recovery.Known second = recovery.lookUpAgain(JOB, first);

        assertThat(began).hasValue(1L);
        assertThat(first.reading().isClosed()).isFalse();
        assertThat(second.reading().isClosed()).isTrue();
        assertThat(second.firstStarted()).isEqualTo(START);
        assertThat(second.nextOffset()).isEqualTo(2);
    }

    @Test
    void the_refusal_of_a_record_is_its_own() throws Exception {
        RecordPlace place = new RecordPlace("prompt-jobs", 1, 7);
        EventMark mark = new EventMark(EventMark.Kind.REJECTED, 0, "intake", 0);
        JobFailure failure = JobFailure.of(JobFailure.Code.INVALID_REQUEST, "no model");
        JobEvent rejected = new JobEvent.Rejected(place, new RecordPlace("prompt-jobs-dlq", 0, 0), failure);
        append(JOB, mark, EventDocument.write(JOB, mark, rejected), 0);

        assertThat(recovery.wasRejected(JOB, place, START.toEpochMilli())).isTrue();
        assertThat(recovery.wasRejected(JOB, new RecordPlace("prompt-jobs", 1, 8), START.toEpochMilli()))
                .isFalse();
        assertThat(recovery.wasRejected(new JobId("another"), place, START.toEpochMilli()))
                .isFalse();
    }

    @Test
    void a_broker_that_does_not_answer_is_reported_and_asked_again() throws Exception {
        started(JOB, 1, "run-1", 0);
        failure = new TimeoutException("of the test");
        assertThatThrownBy(() -> recovery.lookUp(JOB, START))
                .isInstanceOf(Recovery.LookUpFailed.class)
                .hasMessageContaining("could not be read");

        failure = null;

        assertThat(recovery.lookUp(JOB, START).reading().attempt()).isEqualTo(1);
    }
}
