package dev.penstock.kafka.share.lane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.LaneAnswer.Acquired;
import dev.penstock.kafka.share.lane.LaneAnswer.PartitionFetched;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The room that topics share, and what may be asked of a lock. */
class SharedRoomTest {
    private static final Map<Integer, Integer> ONE = Map.of(0, 7);

    private final SharedRoom shared = new SharedRoom();
    private final LaneScript high = new LaneScript(100, ONE, shared, 0);
    private final LaneScript low = new LaneScript(100, ONE, shared, 1);

    private void open(int room) {
        shared.most(room);
        high.opened(7);
        low.opened(7);
    }

    @Test
    void a_topic_asks_for_one_record_and_then_for_eight_times_as_many() {
        open(200);

        assertThat(high.fetch(7).records()).isEqualTo(1);
        high.fetched(7, 0, 0, 0);
        assertThat(high.fetch(7).records()).isEqualTo(8);
        high.fetched(7, 0, 1, 8);
        assertThat(high.fetch(7).records()).isEqualTo(64);
        high.fetched(7, 0, 9, 72);
        assertThat(high.fetch(7).records()).isEqualTo(100 - 73);
        high.nothing(7);
        assertThat(high.fetch(7).records()).isEqualTo(1);
    }

    @Test
    void all_topics_together_keep_the_limit_and_leave_a_probe_to_more_urgent_ones() {
        open(10);
        low.fetch(7);
        low.fetched(7, 0, 0, 0);

        // nine are free, and the more urgent topic has not asked yet
        LaneRequest.Fetch asked = low.fetch(7);
        assertThat(asked.records()).isEqualTo(8);
        assertThat(high.fetch(7).records()).isEqualTo(1);
        assertThat(high.topic.used() + low.topic.used()).isEqualTo(10);
        assertThat(high.topic.free(high.now)).isZero();
    }

    @Test
    void what_leaves_nothing_for_another_topic_waits_only_a_moment() {
        open(9);
        high.fetch(7);
        high.fetched(7, 0, 0, 0);

        LaneRequest.Fetch asked = high.fetch(7);

        assertThat(asked.records()).isEqualTo(8);
        assertThat(asked.waitMillis()).isEqualTo(10);
    }

    @Test
    void a_topic_keeps_its_least_whatever_the_others_hold() {
        open(4);
        low.topic.hand().room(2, 100);
        high.fetch(7);
        high.fetched(7, 0, 0, 0);
        high.fetch(7);
        high.fetched(7, 0, 1, 3);

        assertThat(high.idle(7)).isGreaterThan(high.now);
        assertThat(low.topic.free(low.now)).isEqualTo(2);
        assertThat(low.fetch(7).records()).isEqualTo(1);
    }

    @Test
    void while_a_more_urgent_topic_has_more_records_another_one_takes_only_its_least() {
        open(20);
        low.topic.hand().room(2, 100);
        high.fetch(7);
        high.fetched(7, 0, 0, 0);

        // eighteen are free
        assertThat(low.topic.free(low.now)).isEqualTo(2);
        low.fetch(7);
        low.fetched(7, 0, 0, 0);
        assertThat(low.fetch(7).records()).isEqualTo(1);
        low.fetched(7, 0, 1, 1);
        assertThat(low.idle(7)).isEqualTo(low.now + Lane.MORE_MILLIS);

        // a fetch that has to wait shows that there is no more
        assertThat(high.fetch(7).records()).isEqualTo(8);
        low.now += Lane.MORE_MILLIS;
        assertThat(low.fetch(7).records()).isEqualTo(8);
    }

    @Test
    void topics_of_the_same_rank_do_not_hold_each_other_back() {
        LaneScript other = new LaneScript(100, ONE, shared, 0);
        open(20);
        other.opened(7);
        high.fetch(7);
        high.fetched(7, 0, 0, 0);

        assertThat(other.topic.free(other.now)).isEqualTo(18);
    }

    @Test
    void a_topic_without_room_of_its_own_holds_no_other_back() {
        open(20);
        high.topic.hand().room(0, 1);
        high.fetch(7);
        high.fetched(7, 0, 0, 0);

        assertThat(low.topic.free(low.now)).isEqualTo(19);
    }

    @Test
    void a_wanted_renewal_leaves_at_once_for_that_record_alone() {
        LaneScript script = new LaneScript(2, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 0, 1);
        TakenRecord record = records.getFirst();

        script.topic.renew(record);

        assertThat(script.topic.isRenewed(record)).isNull();
        LaneRequest.Acknowledge renewal = script.acknowledge(7);
        assertThat(renewal.renewing()).isTrue();
        assertThat(LaneScript.said(renewal).acks()).containsExactly(new AckGroup.Ack(0, Acknowledgement.RENEW));
        assertThat(script.topic.isRenewed(record)).isNull();
        script.acknowledged(7, BrokerCode.NONE);
        assertThat(script.topic.isRenewed(record)).isTrue();
        assertThat(script.idle(7)).isEqualTo(script.now + LaneScript.LOCK / 3);
        script.topic.finish(record, Acknowledgement.ACCEPT);
        assertThat(script.topic.isRenewed(record)).isFalse();
    }

    @Test
    void a_renewal_that_has_left_before_the_wish_is_no_answer_to_it() {
        LaneScript script = new LaneScript(1, ONE).opened(7);
        script.fetch(7);
        TakenRecord record = script.fetched(7, 0, 0, 0).getFirst();
        script.now += LaneScript.LOCK / 3;
        script.acknowledge(7);

        script.topic.renew(record);
        script.acknowledged(7, BrokerCode.NONE);

        assertThat(script.topic.isRenewed(record)).isNull();
        assertThat(script.acknowledge(7).renewing()).isTrue();
        script.acknowledged(7, BrokerCode.NONE);
        assertThat(script.topic.isRenewed(record)).isTrue();
    }

    @Test
    void a_wanted_renewal_survives_the_end_of_its_connection() {
        LaneScript script = new LaneScript(4, ONE).opened(7);
        script.fetch(7);
        TakenRecord record = script.fetched(7, 0, 0, 0).getFirst();
        script.topic.renew(record);
        script.acknowledge(7);
        script.cut(7);

        assertThat(script.topic.isRenewed(record)).isNull();
        script.fetch(7);
        script.nothing(7);
        assertThat(script.topic.isRenewed(record)).isNull();
        script.acknowledge(7);
        script.acknowledged(7, BrokerCode.NONE);
        assertThat(script.topic.isRenewed(record)).isTrue();
    }

    @Test
    void a_wanted_renewal_is_refused_once_the_record_is_lost() {
        LaneScript script = new LaneScript(1, ONE).opened(7);
        script.fetch(7);
        TakenRecord record = script.fetched(7, 0, 0, 0).getFirst();
        script.now += 2L * LaneScript.LOCK;
        script.topic.renew(record);
        script.acknowledge(7);
        script.acknowledged(7, BrokerCode.NOT_OURS);

        assertThat(script.topic.isRenewed(record)).isFalse();
        assertThat(script.losses()).containsExactly("jobs-0@0");
    }

    @Test
    void a_record_that_was_freed_and_adopted_is_renewed_for_the_run_that_waits() {
        LaneScript script = new LaneScript(1, ONE).opened(7);
        script.fetch(7);
        TakenRecord record = script.fetched(7, 0, 0, 0).getFirst();
        script.topic.renew(record);
        script.acknowledge(7);
        script.acknowledged(7, BrokerCode.NOT_OURS);
        assertThat(script.topic.isRenewed(record)).isNull();

        script.fetch(7);
        script.fetched(7, 0, BrokerCode.NONE, 0, 0, 2);

        assertThat(script.topic.isRenewed(record)).isTrue();
        assertThat(record.wasInDoubt()).isTrue();
    }

    @Test
    void dear_records_wait_for_more_room() {
        LaneScript script = new LaneScript(4, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.answer(
                7,
                new PartitionFetched(
                        0,
                        BrokerCode.NONE,
                        "",
                        BrokerCode.NONE,
                        List.of(new Acquired(0, 3, 1)),
                        ByteBuffer.allocate(1 << 20)));
        script.topic.finish(records.getFirst(), Acknowledgement.ACCEPT);
        script.now += 4;

        // the acknowledgement only collects for a moment
        assertThat(script.idle(7)).isEqualTo(script.now + 10);
        script.now += 10;
        script.acknowledge(7);
        script.acknowledged(7, BrokerCode.NONE);
        assertThat(script.idle(7)).isEqualTo(script.now - 14 + 32);
        script.now += 20;
        assertThat(script.fetch(7).records()).isEqualTo(1);
    }
}
