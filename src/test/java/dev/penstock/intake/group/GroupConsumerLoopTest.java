package dev.penstock.intake.group;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.intake.record.OriginRecord;
import dev.penstock.intake.record.PausedTime;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.job.RecordPlace;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.HostileBytes;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The jobs that are deferred, in a partition whose head is not due. */
@Timeout(60)
class GroupConsumerLoopTest {
    private static final TopicPartition PARTITION = new TopicPartition("prompt-jobs-deferred", 3);

    /** Nothing is copied here. */
    @SuppressWarnings("NullAway")
    private static final RecordDelivery.Writers NO_WRITERS = new RecordDelivery.Writers(null, null);

    private final PausedTime time = new PausedTime();
    private final AtomicLong version = new AtomicLong();
    /** The offsets of what need not wait. */
    private final Set<Long> goesOn = ConcurrentHashMap.newKeySet();

    private final Set<Long> unreadable = ConcurrentHashMap.newKeySet();
    private final AtomicLong looks = new AtomicLong();
    private final List<GroupDelivery> taken = new CopyOnWriteArrayList<>();
    private final PlayedLog log = new PlayedLog(PARTITION);
    private final GroupConsumerLoop loop = new GroupConsumerLoop(new GroupConsumerLoop.Setup(
            PARTITION.topic(),
            () -> log,
            record -> {
                if (unreadable.contains(record.offset())) {
                    throw new IllegalStateException("of the test");
                }
                return Optional.of(origin(record));
            },
            true,
            100,
            Duration.ofDays(1),
            () -> true,
            new GroupPartition.Early() {
                @Override
                public boolean isDue(OriginRecord origin) {
                    looks.incrementAndGet();
                    RecordPlace deferred = origin.deferred();
                    return deferred != null && goesOn.contains(deferred.offset());
                }

                @Override
                public long version() {
                    return version.get();
                }
            },
            delivery -> taken.add((GroupDelivery) delivery),
            _ -> {},
            _ -> {},
            NO_WRITERS,
            time,
            time.loop()));
    private final Thread thread = Thread.ofPlatform().start(loop);

    @AfterEach
    void stop() throws InterruptedException {
        loop.close();
        thread.join();
    }

    @Test
    void what_need_not_wait_is_taken_before_a_head_that_is_not_due() throws InterruptedException {
        for (int i = 0; i < 4; i++) {
            append(Duration.ofMinutes(10).plusSeconds(i));
        }
        Conditions.await(() -> looks.get() >= 4);
        assertThat(taken).isEmpty();

        goesOn.addAll(List.of(1L, 3L));
        node();
        Conditions.await(() -> taken.size() == 2);

        assertThat(offsets()).containsExactly(1L, 3L);
        taken.forEach(GroupDelivery::acknowledge);
        // what comes now is looked at as it comes
        goesOn.add(4L);
        append(Duration.ofMinutes(11));
        Conditions.await(() -> taken.size() == 3);
        assertThat(log.committedOffset()).as("the head is still to come").isLessThanOrEqualTo(0);

        time.advance(Duration.ofMinutes(12));
        Conditions.await(() -> taken.size() == 5);
        assertThat(offsets()).as("none twice").containsExactly(1L, 3L, 4L, 0L, 2L);
        taken.forEach(GroupDelivery::acknowledge);
        Conditions.await(() -> log.committedOffset() == 5);
    }

    @Test
    void a_head_that_goes_on_is_done_with_and_nothing_is_looked_at_for_nothing() throws InterruptedException {
        append(Duration.ofMinutes(10));
        append(Duration.ofMinutes(11));
        Conditions.await(() -> looks.get() >= 2);
        goesOn.add(0L);
        node();
        Conditions.await(() -> taken.size() == 1);
        taken.getFirst().acknowledge();
        Conditions.await(() -> log.committedOffset() == 1);

        long before = looks.get();
        long polls = log.polls.get();
        Conditions.await(() -> log.polls.get() > polls + 5);

        assertThat(looks.get()).isEqualTo(before);
    }

    /** The consumer was made anew each time, and read the same record again. */
    @Test
    void a_record_that_cannot_be_read_is_refused_and_those_behind_it_come() throws InterruptedException {
        unreadable.addAll(List.of(1L, 3L));
        append(Duration.ZERO);
        append(Duration.ZERO);
        append(Duration.ofMinutes(10));
        append(Duration.ofMinutes(10));
        append(Duration.ofMinutes(10));
        Conditions.await(() -> taken.size() == 3);

        // what lies behind a head that is not due is refused at once, too
        assertThat(offsets()).containsExactly(0L, 1L, 3L);
        assertThat(taken.stream().map(GroupDelivery::isUnread)).containsExactly(false, true, true);
        taken.forEach(GroupDelivery::acknowledge);
        Conditions.await(() -> log.committedOffset() == 2);
        time.advance(Duration.ofMinutes(12));
        Conditions.await(() -> taken.size() == 5);
        taken.forEach(GroupDelivery::acknowledge);
        Conditions.await(() -> log.committedOffset() == 5);
        assertThat(RecordGuard.warnings().get("intake")).contains("IllegalStateException");
    }

    @Test
    void whatever_headers_a_copy_has_it_is_one_or_none() {
        long copies = HostileBytes.records(PARTITION.topic(), 3, 17, 20_000).stream()
                .filter(record -> OriginRecord.ofDeferred(record).isPresent())
                .count();

        assertThat(copies).isLessThan(20_000);
    }

    private void append(Duration delay) {
        log.append(offset -> new ConsumerRecord<>(
                PARTITION.topic(),
                PARTITION.partition(),
                offset,
                PausedTime.START.plus(delay).toEpochMilli(),
                TimestampType.CREATE_TIME,
                0,
                0,
                new byte[0],
                new byte[0],
                new RecordHeaders(),
                Optional.empty()));
    }

    /** A node has come up. */
    private void node() {
        time.advance(Duration.ofSeconds(2));
        version.incrementAndGet();
    }

    private List<Long> offsets() {
        return taken.stream().map(delivery -> delivery.place().offset()).toList();
    }

    private static OriginRecord origin(ConsumerRecord<byte[], byte[]> deferred) {
        return new OriginRecord(
                deferred,
                OriginRecord.placeOf(deferred),
                null,
                Instant.ofEpochMilli(deferred.timestamp()),
                null,
                null,
                0,
                0,
                0,
                null,
                null);
    }
}
