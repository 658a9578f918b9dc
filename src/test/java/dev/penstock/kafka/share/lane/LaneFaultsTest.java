package dev.penstock.kafka.share.lane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.AckGroup.Range;
import dev.penstock.kafka.share.lane.LaneAnswer.Acquired;
import dev.penstock.kafka.share.lane.LaneAnswer.Fetched;
import dev.penstock.kafka.share.lane.LaneAnswer.PartitionFetched;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.junit.jupiter.api.Test;

/** What a lane does when brokers refuse, stall, or change what they lead. */
class LaneFaultsTest {
    private static final Map<Integer, Integer> ONE = Map.of(0, 7);
    private static final Map<Integer, Integer> TWO = Map.of(0, 7, 1, 7);

    private static TopicLanes.View view(Map<Integer, Integer> leaders) {
        return new TopicLanes.View(LaneScript.TOPIC, leaders);
    }

    // ---- a topic that is made anew, or is gone

    @Test
    void an_answer_to_the_topic_of_before_is_no_answer_to_the_new_one() {
        LaneScript script = new LaneScript(4, ONE).opened(7);
        LaneRequest.Fetch before = script.fetch(7);
        script.topic.onMetadata(new TopicLanes.View(new Uuid(2, 2), ONE));
        script.fetch(7);

        List<TakenRecord> late = script.answer(
                7,
                before,
                new PartitionFetched(
                        0,
                        BrokerCode.NONE,
                        "",
                        BrokerCode.NONE,
                        List.of(new Acquired(0, 0, 1)),
                        ByteBuffer.allocate(0)));
        script.lane(7).onUnanswered(before);

        assertThat(late).isEmpty();
        assertThat(script.lane(7).state()).isEqualTo(Lane.State.CLOSED);
        assertThat(script.lane(7).isWaiting()).isTrue();
        assertThat(script.fetched(7, 0, 0, 0)).hasSize(1);
        assertThat(script.lane(7).state()).isEqualTo(Lane.State.OPEN);
        assertThat(script.fetch(7).epoch()).isEqualTo(1);
    }

    @Test
    void the_end_of_its_connection_ends_the_session_of_the_new_topic() {
        LaneScript script = new LaneScript(4, ONE).opened(7);
        script.fetch(7);
        script.topic.onMetadata(new TopicLanes.View(new Uuid(2, 2), ONE));
        script.fetch(7);

        script.lane(7).onUnanswered(script.request(7));

        assertThat(script.fetch(7).epoch()).isEqualTo(LaneRequest.OPENING);
    }

    @Test
    void the_records_of_a_deleted_topic_are_lost_when_their_locks_have_run_out() {
        LaneScript script = new LaneScript(1, ONE).opened(7);
        script.fetch(7);
        script.fetched(7, 0, 0, 0);
        long end = script.now + LaneScript.LOCK;
        while (script.topic.hand().held() > 0 && script.now <= end) {
            script.now = Math.max(script.now, script.idle(7));
            script.acknowledge(7);
            script.acknowledged(7, BrokerCode.MOVED);
        }

        assertThat(script.losses()).containsExactly("jobs-0@0");
        assertThat(script.now).isGreaterThanOrEqualTo(end);
    }

    // ---- leaders

    @Test
    void while_a_partition_has_no_leader_its_records_wait() {
        LaneScript script = new LaneScript(2, TWO).opened(7);
        script.fetch(7);
        TakenRecord record = script.fetched(7, 0, 0, 0).getFirst();
        script.topic.onMetadata(view(Map.of(1, 7)));
        script.topic.renew(record);
        script.now += 60_000;

        assertThat(script.topic.isRenewed(record)).isNull();
        assertThat(script.fetch(7).forgotten()).containsExactly(0);
        script.nothing(7);
        script.topic.onMetadata(view(TWO));
        assertThat(script.fetch(7).added()).containsExactly(0);
        script.nothing(7);
        script.acknowledge(7);
        script.acknowledged(7, BrokerCode.NOT_OURS);
        script.fetch(7);
        script.fetched(7, 0, BrokerCode.NONE, 0, 0, 2);

        assertThat(script.topic.isRenewed(record)).isTrue();
        assertThat(script.losses()).isEmpty();
    }

    @Test
    void a_lane_that_brings_records_all_the_time_leaves_turns_to_the_others() {
        LaneScript script = new LaneScript(1, Map.of(0, 7, 1, 8)).opened(7).opened(8);
        long begun = script.now;
        long offset = 0;
        while (script.topic.order(script.now).getFirst().broker() == 7 || script.now == begun) {
            script.fetch(7);
            script.now += 20;
            script.topic.finish(script.fetched(7, 0, offset, offset++).getFirst(), Acknowledgement.ACCEPT);
            assertThat(script.now).as("lane 8 has no turn").isLessThan(begun + 1_000);
        }

        LaneRequest.Fetch turn = script.fetch(8);

        assertThat(turn.records()).isEqualTo(1);
        assertThat(turn.waitMillis()).isEqualTo(10);
        script.nothing(8);
        assertThat(script.topic.order(script.now).getFirst().broker()).isEqualTo(7);
    }

    // ---- refusals

    @Test
    void a_topic_that_may_not_be_read_is_asked_for_less_often() {
        LaneScript script = new LaneScript(3, TWO).opened(7);
        PartitionFetched[] refused = {
            LaneScript.nothing(0, BrokerCode.REFUSED, BrokerCode.NONE),
            LaneScript.nothing(1, BrokerCode.REFUSED, BrokerCode.NONE)
        };
        script.fetch(7);
        script.answer(7, refused);
        assertThat(script.idle(7)).isEqualTo(script.now + LanePace.FIRST_PAUSE_MILLIS);
        script.now += LanePace.FIRST_PAUSE_MILLIS;
        script.fetch(7);
        script.answer(7, refused);
        assertThat(script.idle(7)).isEqualTo(script.now + 2 * LanePace.FIRST_PAUSE_MILLIS);
        assertThat(script.topic.hand().takeMetadataWanted()).isFalse();

        script.now += 2 * LanePace.FIRST_PAUSE_MILLIS;
        script.fetch(7);
        script.nothing(7);
        script.fetch(7);
        script.answer(7, refused);

        assertThat(script.idle(7)).isEqualTo(script.now + LanePace.FIRST_PAUSE_MILLIS);
    }

    @Test
    void with_records_in_hand_a_refusal_does_not_delay_their_renewal() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        script.fetched(7, 0, 0, 0);
        script.fetch(7);

        script.answer(7, LaneScript.nothing(0, BrokerCode.REFUSED, BrokerCode.NONE));

        assertThat(script.idle(7)).isEqualTo(script.now + LanePace.RETRY_MILLIS);
    }

    @Test
    void a_member_that_a_broker_does_not_know_joins_again() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        script.answer(7, LaneScript.nothing(0, BrokerCode.UNKNOWN_MEMBER, BrokerCode.NONE));

        assertThat(script.topic.hand().takeRejoinWanted()).isTrue();
        assertThat(script.topic.hand().takeRejoinWanted()).isFalse();
    }

    // ---- locks

    @Test
    void a_lock_of_one_second_is_renewed_in_time() {
        LaneScript script = new LaneScript(1, ONE).opened(7);
        LaneRequest.Fetch fetch = script.fetch(7);
        long sent = script.now;
        script.now += fetch.waitMillis();
        Lane lane = script.lane(7);
        lane.onFetched(
                fetch,
                new Fetched(
                        BrokerCode.NONE,
                        "",
                        0,
                        1_000,
                        List.of(new PartitionFetched(
                                0,
                                BrokerCode.NONE,
                                "",
                                BrokerCode.NONE,
                                List.of(new Acquired(0, 0, 1)),
                                ByteBuffer.allocate(0)))),
                script.now);
        assertThat(lane.lockedUntil()).isEqualTo(sent + 1_000);
        script.topic.hold(
                lane,
                new TakenRecord(
                        new org.apache.kafka.clients.consumer.ConsumerRecord<>("jobs", 0, 0, new byte[0], new byte[0]),
                        1,
                        lane.lockedUntil()));

        // the fetch waited for longer than a third of the lock
        assertThat(script.acknowledge(7).renewing()).isTrue();
    }

    @Test
    void a_run_that_ends_while_its_lock_is_checked_is_not_renewed() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 0, 1);
        script.cut(7);
        script.fetch(7);
        script.nothing(7);

        script.topic.finish(records.getFirst(), Acknowledgement.ACCEPT);

        assertThat(LaneScript.said(script.acknowledge(7)).ranges())
                .containsExactly(new Range(1, 1, Acknowledgement.RENEW));
        script.acknowledged(7, BrokerCode.NONE);
        assertThat(LaneScript.said(script.fetch(7)).ranges()).containsExactly(new Range(0, 0, Acknowledgement.ACCEPT));
    }
}
