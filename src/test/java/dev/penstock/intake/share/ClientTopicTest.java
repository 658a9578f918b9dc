package dev.penstock.intake.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.intake.record.DeferredJobs;
import dev.penstock.intake.record.KnownJobs;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.intake.setup.ModeChoice;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.kafka.share.lane.BrokerCode;
import dev.penstock.kafka.share.lane.Lane;
import dev.penstock.kafka.share.lane.LaneAnswer;
import dev.penstock.kafka.share.lane.LaneRequest;
import dev.penstock.kafka.share.lane.LaneStep;
import dev.penstock.kafka.share.lane.ShareOptions;
import dev.penstock.kafka.share.lane.SharedRoom;
import dev.penstock.kafka.share.lane.TakenRecord;
import dev.penstock.kafka.share.lane.TopicLanes;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.PlayedAdmin;
import dev.penstock.testkit.PlayedProducer;
import dev.penstock.wire.record.EventHeaders;
import dev.penstock.wire.record.IntakeMode;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.ByteBuffer;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The records of one topic, between the share client and the runs. */
@Timeout(60)
class ClientTopicTest {
    private static final String TOPIC = "prompt-jobs";
    private static final TopicPartition PARTITION = new TopicPartition(TOPIC, 0);

    private final PlayedTopics client = new PlayedTopics();
    private final PlayedAdmin broker = new PlayedAdmin();
    private final LeaderEpochs epochs = new LeaderEpochs(broker::client, List.of(PARTITION));
    private final List<ShareDelivery> started = new ArrayList<>();
    private final List<RecordDelivery> lost = new ArrayList<>();
    private boolean open = true;
    private int slotsLeft = 64;
    private final AtomicInteger ended = new AtomicInteger();
    private int tenantRoom = Integer.MAX_VALUE;
    private int failures;
    private final MockProducer<byte[], byte[]> copies =
            PlayedProducer.of(TestSettings.defaults().topics().deferred(), 4, true);
    private final ClientTopic topic = topic();
    private final PlayedTopics.Topic played = Objects.requireNonNull(client.topics.get(TOPIC));

    @SuppressWarnings("NullAway") // nothing is dead-lettered here
    private ClientTopic topic() {
        return new ClientTopic(
                client,
                new Settings.JobTopic(TOPIC, Priority.NORMAL, "default", 64),
                "penstock." + TOPIC,
                10,
                ended::incrementAndGet,
                new ClientTopic.Parts(
                        _ -> open,
                        _ -> slotsLeft,
                        _ -> tenantRoom,
                        delivery -> {
                            if (failures-- > 0) {
                                throw new IllegalStateException("of the test");
                            }
                            started.add((ShareDelivery) delivery);
                        },
                        lost::add,
                        new RecordDelivery.Writers(
                                new DeferredJobs(
                                        copies, TestSettings.defaults(), Clock.systemUTC(), new SimpleMeterRegistry()),
                                null),
                        new ShareDelivery.Origins(
                                new ModeChoice.Chosen(IntakeMode.SHARE, Map.of(), Map.of()), epochs)));
    }

    @AfterEach
    void close() {
        epochs.close();
    }

    private static TakenRecord record(long offset, int deliveries) {
        return new TakenRecord(
                new ConsumerRecord<>(
                        TOPIC,
                        0,
                        offset,
                        0,
                        TimestampType.CREATE_TIME,
                        0,
                        0,
                        new byte[0],
                        new byte[0],
                        new RecordHeaders(),
                        Optional.of(4),
                        Optional.of((short) deliveries)),
                deliveries,
                30_000);
    }

    private ShareDelivery take(TakenRecord record) {
        played.receiver.taken(record);
        return started.getLast();
    }

    private CompletableFuture<Boolean> renewal(ShareDelivery delivery) {
        CompletableFuture<Boolean> renewed = new CompletableFuture<>();
        topic.command(new ShareDelivery.LockCommand.Renew(delivery, renewed));
        return renewed;
    }

    // ---- the records

    @Test
    void a_record_starts_its_run_and_is_acknowledged_once() {
        ShareDelivery delivery = take(record(7, 2));

        assertThat(delivery.place().offset()).isEqualTo(7);
        assertThat(delivery.deliveries()).isEqualTo(2);
        assertThat(delivery.isUnread()).isFalse();
        delivery.acknowledge();
        delivery.end();
        delivery.acknowledge();
        assertThat(ended.get()).isPositive();
        assertThat(played.finished).containsExactly("prompt-jobs-0@7 ACCEPT");
    }

    @Test
    void a_run_that_ends_without_an_acknowledgement_releases_its_record() {
        take(record(7, 2)).end();

        assertThat(played.finished).containsExactly("prompt-jobs-0@7 RELEASE");
    }

    @Test
    void a_first_delivery_is_handed_back_by_a_release() throws Exception {
        take(record(7, 1)).handBack(0);

        assertThat(played.finished).containsExactly("prompt-jobs-0@7 RELEASE");
    }

    @Test
    void a_run_that_did_not_look_for_others_says_so() {
        take(record(7, 1)).acknowledgeOnlyRun();

        assertThat(played.finished).containsExactly("prompt-jobs-0@7 ACCEPT_UNDOUBTED");
    }

    /** A release would raise its delivery count once more. */
    @Test
    void an_adopted_record_is_handed_back_by_a_copy() throws Exception {
        TakenRecord record = record(7, 1);
        ShareDelivery delivery = take(record);
        KnownJobs.name(delivery, new JobId("adopted"));
        TopicLanes lanes = lanes(record);
        Lane lane = lanes.lanes().iterator().next();
        lane.onDisconnected();
        adopt(lanes, lane);
        assertThat(record.deliveries()).isEqualTo(2);
        assertThat(record.wasInDoubt()).isTrue();

        delivery.handBack(3);

        ProducerRecord<byte[], byte[]> copy = copies.history().getFirst();
        assertThat(EventHeaders.text(copy.headers(), EventHeaders.ORIGIN)).isEqualTo("prompt-jobs/0/7");
        assertThat(EventHeaders.number(copy.headers(), EventHeaders.HANDED_BACK))
                .isEqualTo(3);
        assertThat(played.finished).containsExactly("prompt-jobs-0@7 ACCEPT");
    }

    private static TopicLanes lanes(TakenRecord record) {
        TopicLanes lanes = new TopicLanes(TOPIC, 0, ShareOptions.defaults(1, 1), new SharedRoom());
        lanes.hand().room(0, 1);
        lanes.onMetadata(new TopicLanes.View(Uuid.randomUuid(), Map.of(0, 1)));
        lanes.hold(lanes.lanes().iterator().next(), record);
        return lanes;
    }

    /** The broker has freed the record, and gives it to this process again. */
    private static void adopt(TopicLanes lanes, Lane lane) {
        lane.onFetched(sent(lanes, lane), new LaneAnswer.Fetched(BrokerCode.NONE, "", 0, 0, List.of()), 1);
        lane.onAcknowledged(
                sent(lanes, lane),
                new LaneAnswer.Acknowledged(BrokerCode.NONE, "", 0, 0, Map.of(0, BrokerCode.NOT_OURS)),
                1);
        List<Lane.Unread> fresh = lane.onFetched(
                sent(lanes, lane),
                new LaneAnswer.Fetched(
                        BrokerCode.NONE,
                        "",
                        0,
                        0,
                        List.of(new LaneAnswer.PartitionFetched(
                                0,
                                BrokerCode.NONE,
                                "",
                                BrokerCode.NONE,
                                List.of(new LaneAnswer.Acquired(7, 7, 2)),
                                ByteBuffer.allocate(0)))),
                1);
        assertThat(fresh).isEmpty();
    }

    private static LaneRequest sent(TopicLanes lanes, Lane lane) {
        LaneStep step = lanes.step(lane, 1);
        assertThat(step).isInstanceOf(LaneStep.Send.class);
        return ((LaneStep.Send) step).request();
    }

    @Test
    void a_record_whose_run_cannot_start_is_refused_and_then_released() {
        failures = 1;
        assertThat(take(record(7, 1)).isUnread()).isTrue();
        assertThat(played.finished).isEmpty();

        failures = 2;
        played.receiver.taken(record(8, 1));
        assertThat(started).hasSize(1);
        assertThat(played.finished).containsExactly("prompt-jobs-0@8 RELEASE");
    }

    @Test
    void a_lost_record_stops_its_run_and_is_not_acknowledged() {
        TakenRecord record = record(7, 1);
        ShareDelivery delivery = take(record);

        played.receiver.lost(record, "of the test");
        played.receiver.lost(record, "of the test");

        assertThat(delivery.isGone()).isTrue();
        assertThat(lost).containsExactly(delivery);
        assertThat(renewal(delivery)).isCompletedWithValue(false);
        delivery.acknowledge();
        assertThat(played.finished).isEmpty();
        assertThat(played.renewals).isEmpty();
    }

    @Test
    void a_record_that_comes_again_after_its_loss_is_another_delivery() {
        TakenRecord first = record(7, 1);
        ShareDelivery before = take(first);
        played.receiver.lost(first, "of the test");

        ShareDelivery after = take(record(7, 2));
        before.acknowledge();
        assertThat(played.finished).isEmpty();
        after.acknowledge();
        assertThat(played.finished).containsExactly("prompt-jobs-0@7 ACCEPT");
    }

    // ---- the locks

    @Test
    void each_renewal_asks_the_broker() {
        ShareDelivery delivery = take(record(7, 1));
        CompletableFuture<Boolean> first = renewal(delivery);
        assertThat(first).isNotDone();
        played.renewals.getFirst().complete(true);
        assertThat(first).isCompletedWithValue(true);

        CompletableFuture<Boolean> second = renewal(delivery);
        assertThat(second).isNotDone();
        played.renewals.getLast().complete(false);
        assertThat(second).isCompletedWithValue(false);
        assertThat(played.renewals).hasSize(2);
    }

    @Test
    void a_renewal_that_fails_is_refused() {
        CompletableFuture<Boolean> renewed = renewal(take(record(7, 1)));

        played.renewals.getFirst().completeExceptionally(new IllegalStateException("of the test"));

        assertThat(renewed).isCompletedWithValue(false);
    }

    @Test
    void a_first_delivery_under_the_present_leader_is_the_first_run() throws Exception {
        broker.log(PARTITION, 0, 10, 4);
        epochs.start();

        assertThat(take(record(7, 1)).mayHaveRunAfterAll()).isFalse();
        broker.log(PARTITION, 0, 10, 5);
        assertThat(take(record(8, 1)).mayHaveRunAfterAll()).isTrue();
    }

    @Test
    void a_record_that_was_delivered_before_needs_no_answer_of_the_broker() throws Exception {
        assertThat(take(record(7, 2)).mayHaveRunAfterAll()).isTrue();
        assertThat(broker.offsetQuestions()).isZero();
    }

    /** Another replica may have started the job between the end of the session and the adoption. */
    @Test
    void a_record_whose_session_ended_is_looked_up_after_its_outcome() throws Exception {
        broker.log(PARTITION, 0, 10, 4);
        epochs.start();
        TakenRecord record = record(7, 1);
        ShareDelivery delivery = take(record);
        Lane lane = lanes(record).lanes().iterator().next();
        assertThat(delivery.mayHaveRunAfterAll()).isFalse();

        lane.onDisconnected();

        assertThat(delivery.mayHaveRunAfterAll()).isTrue();
    }

    // ---- the room

    @Test
    void the_room_is_what_runs_and_a_few_more_unless_the_tenant_is_near_its_limit() {
        slotsLeft = 54;
        topic.room(32, 0, 4);

        assertThat(played.least).isEqualTo(14);
        assertThat(played.most).isEqualTo(96);

        tenantRoom = 3;
        topic.room(32, 0, 4);
        assertThat(played.least).isEqualTo(13);
        assertThat(played.most).isEqualTo(13);
    }

    @Test
    void a_topic_takes_twice_its_slots_ahead_at_most_and_as_many_more_as_are_blocked() {
        topic.room(1_000, 0, 4);
        assertThat(played.most).isEqualTo(64 + 128);

        topic.room(1_000, 100, 4);
        assertThat(played.most).isEqualTo(64 + 128 + 100);
    }

    @Test
    void while_no_node_takes_jobs_there_is_no_room() {
        topic.room(32, 0, 4);
        open = false;
        topic.room(32, 0, 4);
        assertThat(played.most).isZero();

        open = true;
        topic.room(32, 0, 4);
        assertThat(played.most).isEqualTo(96);
    }

    @Test
    void the_record_that_fills_the_memory_closes_the_room_at_once() {
        topic.room(32, 0, 4);
        open = false;

        take(record(7, 1));

        assertThat(played.most).isZero();
        assertThat(played.least).isZero();
    }

    @Test
    void a_room_that_is_set_after_the_stop_does_not_count() {
        topic.room(32, 0, 4);
        topic.stop();
        topic.room(32, 0, 4);

        assertThat(played.most).isZero();
    }

    @Test
    void its_counters_are_metrics() {
        SimpleMeterRegistry meters = new SimpleMeterRegistry();
        topic.register(meters);

        assertThat(meters.get("penstock.share.records")
                        .tags("topic", TOPIC, "what", "adopted")
                        .functionCounter()
                        .count())
                .isEqualTo(2);
        assertThat(meters.get("penstock.share.bytes")
                        .tags("topic", TOPIC)
                        .functionCounter()
                        .count())
                .isEqualTo(900);
    }
}
