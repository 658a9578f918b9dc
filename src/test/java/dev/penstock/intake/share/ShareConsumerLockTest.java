package dev.penstock.intake.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.intake.record.PausedTime;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.intake.setup.ModeChoice;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import dev.penstock.wire.record.IntakeMode;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.errors.GroupMaxSizeReachedException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The locks of a share consumer's records, its acknowledgements, and its end, with a time that stands still. */
@Timeout(60)
class ShareConsumerLockTest {
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final Duration THIRD = Duration.ofMillis(PlayedShareConsumer.LOCK_MILLIS / 3);

    private final PausedTime time = new PausedTime();
    private final List<ShareDelivery> taken = new CopyOnWriteArrayList<>();
    private final List<RecordDelivery> lost = new CopyOnWriteArrayList<>();
    private final AtomicInteger consumers = new AtomicInteger();
    private final AtomicBoolean open = new AtomicBoolean(true);
    private volatile PlayedShareConsumer consumer = new PlayedShareConsumer();
    private final ShareConsumerLoop loop = loop();
    private final Thread thread = Thread.ofPlatform().daemon().unstarted(loop);

    @SuppressWarnings("NullAway") // nothing is copied or dead-lettered here
    private ShareConsumerLoop loop() {
        return new ShareConsumerLoop(new ShareConsumerLoop.Setup(
                () -> {
                    consumers.incrementAndGet();
                    return consumer;
                },
                new ShareDelivery.Origins(
                        new ModeChoice.Chosen(IntakeMode.SHARE, Map.of(), Map.of()),
                        new LeaderEpochs(
                                new KafkaClients(
                                        Map.of(), TestSettings.defaults().maxRecord()),
                                List.of())),
                20,
                null,
                open::get,
                delivery -> taken.add((ShareDelivery) delivery),
                lost::add,
                time.loop()));
    }

    @AfterEach
    void end() throws InterruptedException {
        loop.close();
        if (thread.getState() != Thread.State.NEW) {
            round();
            assertThat(thread.join(SOON)).isTrue();
        }
    }

    @Test
    void all_locks_are_renewed_at_a_third_of_their_time() throws Exception {
        take(4, 5);
        advance(THIRD.minusMillis(1));
        assertThat(consumer.sent).isEmpty();

        advance(Duration.ofMillis(1));
        Conditions.await(() -> consumer.sent.size() == 3);
        assertThat(consumer.sent).containsExactly("4 RENEW", "5 RENEW", "-");

        advance(THIRD);
        Conditions.await(() -> consumer.sent.size() == 6);
        assertThat(lost).isEmpty();
    }

    @Test
    void a_record_whose_lock_is_lost_stops_and_the_others_stay() throws Exception {
        take(4, 5);
        consumer.locksLost.add(4L);
        advance(THIRD);
        Conditions.await(() -> lost.size() == 1);

        assertThat(offsets(lost)).containsExactly(4L);
        assertThat(taken.getFirst().isGone()).isTrue();
        assertThat(taken.get(1).isGone()).isFalse();
        assertThat(renew(taken.get(1))).isTrue();
        assertThat(renew(taken.getFirst())).isFalse();
        // its end is not acknowledged
        taken.getFirst().acknowledge();
        taken.get(1).acknowledge();
        Conditions.await(() -> consumer.sent.contains("5 ACCEPT"));
        assertThat(consumer.sent).doesNotContain("4 ACCEPT");
    }

    @Test
    void a_run_that_renews_its_lock_renews_all_and_learns_what_came_of_its_own() throws Exception {
        take(4, 5);
        assertThat(renew(taken.getFirst())).isTrue();
        assertThat(consumer.sent).containsExactly("4 RENEW", "5 RENEW", "-");
        consumer.locksLost.add(5L);

        assertThat(renew(taken.get(1))).isFalse();
        Conditions.await(() -> lost.size() == 1);
        // the third of the lock begins anew with each renewal
        time.advance(THIRD.minusMillis(1));
        int sent = consumer.sent.size();
        round();
        round();
        assertThat(consumer.sent).hasSize(sent);
    }

    @Test
    void a_record_that_comes_with_a_renewal_is_taken() throws Exception {
        take(4);
        consumer.slipIn(9);
        advance(THIRD);
        Conditions.await(() -> taken.size() == 2);

        assertThat(taken.get(1).place().offset()).isEqualTo(9);
    }

    @Test
    void a_part_of_a_batch_is_acknowledged_after_a_tenth_of_a_second() throws Exception {
        take(4, 5, 6);
        taken.getFirst().acknowledge();
        round();
        advance(Duration.ofMillis(99));
        taken.get(1).end();
        round();
        assertThat(consumer.sent).isEmpty();

        advance(Duration.ofMillis(1));
        Conditions.await(() -> consumer.sent.size() == 3);
        assertThat(consumer.sent).containsExactly("4 ACCEPT", "5 RELEASE", "-");
    }

    @Test
    void a_whole_batch_is_acknowledged_at_once_and_the_next_one_comes() throws Exception {
        take(4, 5);
        consumer.deliveries(6);
        taken.get(1).acknowledge();
        taken.getFirst().handBack(1);
        Conditions.await(() -> taken.size() == 3);

        assertThat(consumer.sent).containsExactly("5 ACCEPT", "4 RELEASE", "-");
        assertThat(lost).isEmpty();
    }

    @Test
    void what_is_finished_goes_with_a_renewal() throws Exception {
        take(4, 5);
        taken.getFirst().acknowledge();
        advance(THIRD);
        Conditions.await(() -> consumer.sent.size() == 3);

        assertThat(consumer.sent).containsExactly("4 ACCEPT", "5 RENEW", "-");
    }

    @Test
    void an_acknowledgement_that_the_broker_refuses_ends_nothing() throws Exception {
        take(4);
        consumer.locksLost.add(4L);
        consumer.deliveries(5);
        taken.getFirst().acknowledge();
        Conditions.await(() -> taken.size() == 2);

        assertThat(consumers).hasValue(1);
        assertThat(lost).as("it was done with").isEmpty();
    }

    @Test
    void a_consumer_that_fails_loses_its_records_and_is_made_anew_after_a_pause() throws Exception {
        take(4);
        PlayedShareConsumer failed = consumer;
        PlayedShareConsumer next = new PlayedShareConsumer();
        next.handAgain(2, 4);
        consumer = next;
        CompletableFuture<Boolean> renewed = new CompletableFuture<>();
        failed.fail(new KafkaException("of the test"));
        taken.getFirst().acknowledge();
        Conditions.await(() -> taken.size() == 2);
        loop.command(new ShareDelivery.LockCommand.Renew(taken.getFirst(), renewed));

        assertThat(failed.isClosed()).isTrue();
        assertThat(time.slept).containsExactly(Duration.ofSeconds(2));
        assertThat(renewed.get(20, TimeUnit.SECONDS))
                .as("of the first delivery")
                .isFalse();
        assertThat(taken.get(1).mayHaveRun()).isTrue();
    }

    @Test
    void a_renewal_that_fails_stops_every_run() throws Exception {
        PlayedShareConsumer broken = new PlayedShareConsumer() {
            @Override
            public synchronized Map<TopicIdPartition, Optional<KafkaException>> commitSync(Duration timeout) {
                throw new KafkaException("of the test");
            }
        };
        consumer = broken;
        take(4, 5);
        consumer = new PlayedShareConsumer();

        assertThat(renew(taken.getFirst())).isFalse();
        Conditions.await(() -> consumers.get() == 2);
        assertThat(offsets(lost)).containsExactly(4L, 5L);
        assertThat(broken.isClosed()).isTrue();
    }

    @Test
    void a_group_that_is_full_is_tried_again_after_a_pause() throws Exception {
        PlayedShareConsumer full = new PlayedShareConsumer();
        full.fail(new GroupMaxSizeReachedException("of the test"));
        full.deliveries(4);
        consumer = full;
        thread.start();
        Conditions.await(() -> taken.size() == 1);

        assertThat(consumers).hasValue(2);
        assertThat(time.slept).containsExactly(Duration.ofSeconds(2));
        assertThat(lost).isEmpty();
    }

    @Test
    void a_member_that_has_had_nothing_for_long_stays() throws Exception {
        thread.start();
        Conditions.await(() -> consumer.polls.get() > 3);
        time.advance(Duration.ofDays(1));
        long polls = consumer.polls.get();
        Conditions.await(() -> consumer.polls.get() > polls + 3);

        assertThat(thread.isAlive()).isTrue();
        assertThat(consumer.isClosed()).isFalse();
    }

    @Test
    void nothing_is_asked_for_while_no_node_is_there() throws Exception {
        open.set(false);
        consumer.deliveries(4);
        thread.start();
        Conditions.await(() -> time.slept.size() > 3);
        assertThat(consumer.polls).hasValue(0);

        open.set(true);
        Conditions.await(() -> taken.size() == 1);
    }

    @Test
    void a_drain_takes_no_more_and_ends_when_the_last_run_ends() throws Exception {
        take(4, 5);
        loop.stop();
        consumer.deliveries(6);
        taken.getFirst().acknowledge();
        round();
        assertThat(renew(taken.get(1))).as("its lock is renewed to the end").isTrue();
        taken.get(1).acknowledge();

        assertThat(thread.join(SOON)).isTrue();
        assertThat(consumer.sent).containsExactly("4 ACCEPT", "5 RENEW", "-", "5 ACCEPT", "-");
        assertThat(consumer.isClosed()).isTrue();
        assertThat(taken).hasSize(2);
        assertThat(lost).isEmpty();
    }

    @Test
    void closing_acknowledges_what_is_done_and_loses_the_rest() throws Exception {
        take(4, 5);
        taken.getFirst().acknowledge();
        loop.close();
        round();

        assertThat(thread.join(SOON)).isTrue();
        assertThat(consumer.sent).containsExactly("4 ACCEPT", "-");
        assertThat(offsets(lost)).containsExactly(5L);
        assertThat(renew(taken.get(1))).as("also after the end").isFalse();
    }

    @Test
    void an_interrupt_ends_the_loop() throws Exception {
        take(4);
        thread.interrupt();

        assertThat(thread.join(SOON)).isTrue();
        assertThat(offsets(lost)).containsExactly(4L);
        assertThat(consumer.isClosed()).isTrue();
    }

    @Test
    void a_delivery_above_a_quarter_of_the_limit_is_the_last_one() {
        assertThat(delivery(loop, 5).isLastDelivery()).isFalse();
        assertThat(delivery(loop, 6).isLastDelivery()).isTrue();
    }

    /** Starts the loop, and waits until it has these records. */
    private void take(long... offsets) throws InterruptedException {
        consumer.deliveries(offsets);
        thread.start();
        Conditions.await(() -> taken.size() >= offsets.length);
        settle();
    }

    /** The loop does a round now, since a run of another record has ended; then it waits. */
    private void round() throws InterruptedException {
        loop.command(new ShareDelivery.LockCommand.Finish(delivery(loop, 1), AcknowledgeType.ACCEPT, false));
        settle();
    }

    /** Waits until the loop has done everything that it was asked for. */
    private void settle() throws InterruptedException {
        Conditions.await(() -> thread.getState() == Thread.State.TERMINATED
                || (loop.hasNoCommands() && thread.getState() == Thread.State.TIMED_WAITING));
    }

    private void advance(Duration duration) throws InterruptedException {
        settle();
        time.advance(duration);
        round();
    }

    @SuppressWarnings("NullAway") // nothing is asked of them
    private static ShareDelivery delivery(ShareConsumerLoop loop, int deliveries) {
        return new ShareDelivery(PlayedShareConsumer.record(999, deliveries), null, null, 20, null, loop);
    }

    private static boolean renew(ShareDelivery delivery) throws Exception {
        return CompletableFuture.supplyAsync(() -> {
                    try {
                        return delivery.renew();
                    } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                    }
                })
                .get(20, TimeUnit.SECONDS);
    }

    private static List<Long> offsets(List<? extends RecordDelivery> deliveries) {
        return deliveries.stream().map(delivery -> delivery.place().offset()).toList();
    }
}
