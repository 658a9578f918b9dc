package dev.penstock.intake.group;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.intake.record.OriginRecord;
import dev.penstock.intake.record.PausedTime;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.testkit.Conditions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What the loop commits, and what becomes of runs, when the group, the consumer or a run fails. */
@Timeout(60)
class GroupConsumerRebalanceTest {
    private static final TopicPartition PARTITION = new TopicPartition("prompt-jobs", 3);
    private static final Duration SESSION = Duration.ofSeconds(10);

    /** Nothing is copied here. */
    @SuppressWarnings("NullAway")
    private static final RecordDelivery.Writers NO_WRITERS = new RecordDelivery.Writers(null, null);

    private final PausedTime time = new PausedTime();
    private final AtomicBoolean open = new AtomicBoolean(true);
    private final List<GroupDelivery> taken = new CopyOnWriteArrayList<>();
    private final List<RecordDelivery> lost = new CopyOnWriteArrayList<>();
    private final List<RecordDelivery> left = new CopyOnWriteArrayList<>();
    private final AtomicInteger consumers = new AtomicInteger();
    private volatile Consumer<RecordDelivery> onLeave = left::add;
    private volatile PlayedLog log = new PlayedLog(PARTITION);
    private final GroupConsumerLoop loop = new GroupConsumerLoop(new GroupConsumerLoop.Setup(
            PARTITION.topic(),
            () -> {
                consumers.incrementAndGet();
                return log;
            },
            record -> Optional.of(OriginRecord.itself(record)),
            false,
            3,
            SESSION,
            open::get,
            GroupPartition.Early.NEVER,
            delivery -> taken.add((GroupDelivery) delivery),
            lost::add,
            delivery -> onLeave.accept(delivery),
            NO_WRITERS,
            time,
            time.loop()));
    private final Thread thread = Thread.ofPlatform().unstarted(loop);

    @AfterEach
    void stop() throws InterruptedException {
        loop.close();
        while (thread.getState() != Thread.State.NEW && !thread.join(Duration.ofMillis(20))) {
            // a loop that waits for a run
            time.advance(Duration.ofSeconds(1));
        }
    }

    @Test
    void a_partition_that_is_revoked_is_committed_as_far_as_its_runs_hand_it_back() throws Exception {
        start(3);
        // the second was done before; the first ends when the loop asks, the third does not start
        taken.get(1).acknowledge();
        Conditions.await(() -> log.committedOffset() == 0);
        onLeave = delivery -> {
            left.add(delivery);
            if (delivery.place().offset() == 0) {
                ((GroupDelivery) delivery).acknowledge();
            } else {
                handBack(delivery);
            }
        };
        log.revoke();
        Conditions.await(() -> log.assignment().isEmpty());

        assertThat(offsets(left)).containsExactly(0L, 2L);
        assertThat(left).allMatch(RecordDelivery::isGone);
        Conditions.await(() -> log.committedOffset() == 2);
        assertThat(offsets(lost)).as("what was handed back is the next owner's").containsExactly(2L);
        assertThat(taken.get(2).renew()).isFalse();
    }

    @Test
    void a_run_that_does_not_end_holds_a_revocation_up_for_three_seconds() throws Exception {
        start(2);
        log.revoke();
        Conditions.await(() -> left.size() == 2);
        Instant asked = time.instant();
        Conditions.await(() -> {
            time.advance(Duration.ofMillis(100));
            return lost.size() == 2;
        });

        assertThat(Duration.between(asked, time.instant())).isGreaterThanOrEqualTo(Duration.ofSeconds(3));
        Conditions.await(() -> log.committedOffset() == 0);
        assertThat(offsets(lost)).containsExactly(0L, 1L);
        // its end comes too late, and counts for nothing
        taken.getFirst().acknowledge();
        long polls = log.polls.get();
        Conditions.await(() -> log.polls.get() > polls + 3);
        assertThat(log.committedOffset()).isZero();
    }

    @Test
    void a_partition_that_comes_again_goes_on_where_it_was_committed() throws Exception {
        start(2);
        taken.getFirst().acknowledge();
        Conditions.await(() -> log.committedOffset() == 1);
        onLeave = this::handBack;
        log.revoke();
        Conditions.await(() -> log.assignment().isEmpty());
        append();
        log.giveAgain();
        Conditions.await(() -> taken.size() == 4);
        append();
        Conditions.await(() -> taken.size() == 5);

        assertThat(offsets(taken)).containsExactly(0L, 1L, 1L, 2L, 3L);
        assertThat(taken.stream().map(GroupDelivery::mayHaveRun))
                .as("whether it lay there when the partition came")
                .containsExactly(false, false, true, true, false);
    }

    @Test
    void a_partition_that_is_lost_is_not_committed_and_its_runs_stop() throws Exception {
        start(2);
        Conditions.await(() -> log.committedOffset() == 0);
        log.lose();
        Conditions.await(() -> lost.size() == 2);

        assertThat(left).as("nothing is handed back: another replica has it").isEmpty();
        taken.forEach(GroupDelivery::acknowledge);
        assertThat(taken).noneMatch(GroupDelivery::renew);
        long polls = log.polls.get();
        Conditions.await(() -> log.polls.get() > polls + 3);
        assertThat(log.committedOffset()).isZero();
    }

    @Test
    void a_consumer_that_fails_is_made_anew_after_a_pause() throws Exception {
        start(1);
        PlayedLog failed = log;
        PlayedLog next = new PlayedLog(PARTITION);
        log = next;
        failed.setPollException(new KafkaException("of the test"));
        Conditions.await(() -> consumers.get() == 2);

        assertThat(failed.closed()).isTrue();
        assertThat(offsets(lost)).containsExactly(0L);
        assertThat(time.slept).containsExactly(Duration.ofSeconds(2));
        append();
        Conditions.await(() -> taken.size() == 2);
    }

    @Test
    void a_loop_that_stood_still_for_a_session_has_lost_its_partitions() throws Exception {
        start(1);
        PlayedLog first = log;
        log = new PlayedLog(PARTITION);
        long polls = first.polls.get();
        Conditions.await(() -> first.polls.get() > polls + 2);
        assertThat(lost).isEmpty();

        time.advance(SESSION.plusMillis(1));
        Conditions.await(() -> consumers.get() == 2);

        assertThat(offsets(lost)).containsExactly(0L);
        assertThat(first.closed()).isTrue();
    }

    @Test
    void a_record_whose_run_ends_without_an_outcome_comes_again() throws Exception {
        start(1);
        GroupDelivery first = taken.getFirst();
        first.end();
        Conditions.await(() -> !first.renew());
        long polls = log.polls.get();
        Conditions.await(() -> log.polls.get() > polls + 3);
        assertThat(taken).as("not before its time").hasSize(1);

        time.advance(Duration.ofSeconds(2));
        Conditions.await(() -> taken.size() == 2);
        GroupDelivery second = taken.get(1);
        assertThat(second.place()).isEqualTo(first.place());
        assertThat(second.mayHaveRun()).isTrue();
        assertThat(log.committedOffset()).isZero();
        // the end of the first run counts no more
        first.acknowledge();
        second.acknowledge();
        Conditions.await(() -> log.committedOffset() == 1);
    }

    @Test
    void a_commit_that_fails_is_sent_again() throws Exception {
        start(1);
        Conditions.await(() -> log.committedOffset() == 0);
        log.failing.set(2);
        taken.getFirst().acknowledge();

        Conditions.await(() -> log.committedOffset() == 1);
        assertThat(log.failing).hasValue(0);
        assertThat(log.commits).containsExactly(0L, 1L);
    }

    @Test
    void offsets_without_records_are_committed_too() throws Exception {
        log.mark();
        append();
        log.mark();
        log.mark();
        thread.start();
        Conditions.await(() -> taken.size() == 1);
        Conditions.await(() -> log.committedOffset() == 1);

        taken.getFirst().acknowledge();

        Conditions.await(() -> log.committedOffset() == 4);
    }

    @Test
    void no_more_than_the_capacity_is_in_hand_and_nothing_is_read_while_no_node_is_there() throws Exception {
        start(3);
        Conditions.await(() -> log.paused().contains(PARTITION));
        append();
        long polls = log.polls.get();
        Conditions.await(() -> log.polls.get() > polls + 3);
        assertThat(taken).hasSize(3);
        open.set(false);
        taken.get(2).acknowledge();
        taken.get(0).acknowledge();
        Conditions.await(() -> log.committedOffset() == 1);
        assertThat(taken).as("no node").hasSize(3);

        open.set(true);
        Conditions.await(() -> taken.size() == 4);
    }

    @Test
    void a_drain_takes_no_more_and_commits_what_ends() throws Exception {
        start(2);
        loop.stop();
        Conditions.await(() -> log.paused().contains(PARTITION));
        append();
        taken.forEach(GroupDelivery::acknowledge);
        Conditions.await(() -> log.committedOffset() == 2);

        assertThat(taken).hasSize(2);
        assertThat(lost).isEmpty();
    }

    @Test
    void closing_commits_what_is_done_and_leaves_the_rest() throws Exception {
        start(2);
        taken.getFirst().acknowledge();
        PlayedLog last = log;
        loop.close();
        assertThat(thread.join(Duration.ofSeconds(20))).isTrue();

        assertThat(last.commits.getLast()).isEqualTo(1);
        assertThat(last.closed()).isTrue();
        assertThat(offsets(lost)).containsExactly(1L);
        assertThat(consumers).hasValue(1);
    }

    @Test
    void an_interrupt_ends_the_loop() throws Exception {
        start(1);
        thread.interrupt();

        assertThat(thread.join(Duration.ofSeconds(20))).isTrue();
        assertThat(log.closed()).isTrue();
    }

    /** Starts with so many records, and waits until they are taken. */
    private void start(int records) throws InterruptedException {
        thread.start();
        for (int i = 0; i < records; i++) {
            append();
        }
        Conditions.await(() -> taken.size() == records);
    }

    private void append() {
        log.append(offset ->
                new ConsumerRecord<>(PARTITION.topic(), PARTITION.partition(), offset, new byte[0], new byte[0]));
    }

    private void handBack(RecordDelivery delivery) {
        try {
            delivery.handBack(0);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    private static List<Long> offsets(List<? extends RecordDelivery> deliveries) {
        return deliveries.stream().map(delivery -> delivery.place().offset()).toList();
    }
}
