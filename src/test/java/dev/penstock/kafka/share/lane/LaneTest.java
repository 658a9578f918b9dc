package dev.penstock.kafka.share.lane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.AckGroup.Range;
import dev.penstock.kafka.share.lane.LaneRequest.Fetch;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.junit.jupiter.api.Test;

/** The lane, event by event. */
class LaneTest {
    private static final long LINGER = 10;
    private static final Map<Integer, Integer> ONE = Map.of(0, 7);
    private static final Map<Integer, Integer> TWO = Map.of(0, 7, 1, 7);

    @Test
    void a_session_opens_and_asks_for_exactly_the_free_room() {
        LaneScript script = new LaneScript(5, TWO);

        Fetch opening = script.fetch(7);
        assertThat(opening.epoch()).isEqualTo(LaneRequest.OPENING);
        assertThat(opening.added()).containsExactlyInAnyOrder(0, 1);
        script.fetched(7, 0, 10, 10);

        Fetch next = script.fetch(7);
        assertThat(next.epoch()).isEqualTo(1);
        assertThat(next.added()).isEmpty();
        assertThat(next.records()).isEqualTo(4);
        assertThat(script.topic.free(script.now)).isZero();
        script.fetched(7, 1, 0, 3);

        assertThat(script.idle(7)).isEqualTo(script.now + LaneScript.LOCK / 3);
    }

    @Test
    void an_acknowledgement_goes_with_the_next_fetch() {
        LaneScript script = new LaneScript(8, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 3, 5);
        records.forEach(record -> script.topic.finish(record, Acknowledgement.ACCEPT));

        Fetch fetch = script.fetch(7);

        assertThat(fetch.records()).isEqualTo(8);
        assertThat(LaneScript.said(fetch).ranges()).containsExactly(new Range(3, 5, Acknowledgement.ACCEPT));
        script.nothing(7);
        assertThat(script.topic.hand().counts().acknowledged).isEqualTo(3);
        assertThat(script.topic.finish(records.getFirst(), Acknowledgement.ACCEPT))
                .isFalse();
    }

    @Test
    void acknowledgements_collect_for_a_moment_while_little_room_is_free() {
        LaneScript script = new LaneScript(4, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 0, 3);
        script.topic.finish(records.get(0), Acknowledgement.ACCEPT);

        assertThat(script.idle(7)).isEqualTo(script.now + LINGER);
        script.now += LINGER;
        script.topic.finish(records.get(2), Acknowledgement.RELEASE);

        assertThat(LaneScript.said(script.fetch(7)).ranges())
                .containsExactly(new Range(0, 0, Acknowledgement.ACCEPT), new Range(2, 2, Acknowledgement.RELEASE));
    }

    @Test
    void acknowledgements_do_not_wait_for_others_if_the_broker_has_no_more_records() {
        LaneScript script = new LaneScript(5, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 0, 3);
        script.topic.finish(records.get(0), Acknowledgement.ACCEPT);

        assertThat(LaneScript.said(script.fetch(7)).ranges()).containsExactly(new Range(0, 0, Acknowledgement.ACCEPT));
    }

    @Test
    void without_room_it_acknowledges_and_takes_nothing() {
        LaneScript script = new LaneScript(2, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 0, 1);
        script.topic.hand().room(0, 0);
        script.topic.finish(records.getFirst(), Acknowledgement.ACCEPT);
        script.idle(7);
        script.now += LINGER;

        assertThat(LaneScript.said(script.acknowledge(7)).ranges())
                .containsExactly(new Range(0, 0, Acknowledgement.ACCEPT));
        script.acknowledged(7, BrokerCode.NONE);
        script.idle(7);
    }

    @Test
    void a_refused_group_is_halved_until_the_foreign_record_is_alone() {
        LaneScript script = new LaneScript(8, ONE).opened(7);
        script.fetch(7);
        script.fetched(7, 0, 0, 3).forEach(record -> script.topic.finish(record, Acknowledgement.ACCEPT));

        // record 2 belongs to another consumer
        for (int i = 0;
                i < 20
                        && script.topic.hand().counts().acknowledged
                                        + script.topic.hand().counts().refused
                                < 4;
                i++) {
            AckGroup said = LaneScript.said(script.fetch(7));
            boolean foreign = said.acks().stream().anyMatch(ack -> ack.offset() == 2);
            script.answer(7, LaneScript.nothing(0, BrokerCode.NONE, foreign ? BrokerCode.NOT_OURS : BrokerCode.NONE));
        }

        assertThat(script.topic.hand().counts().acknowledged).isEqualTo(3);
        assertThat(script.topic.hand().counts().refused).isEqualTo(1);
        assertThat(script.topic.hand().partition(0).acks().isEmpty()).isTrue();
    }

    @Test
    void locks_are_renewed_at_a_third_counted_from_sending() {
        LaneScript script = new LaneScript(2, ONE).opened(7);
        script.fetch(7);
        script.now += 150;
        script.fetched(7, 0, 0, 1);
        long sent = script.now - 150;

        assertThat(script.idle(7)).isEqualTo(sent + LaneScript.LOCK / 3);
        script.now = sent + LaneScript.LOCK / 3;
        LaneRequest.Acknowledge renewal = script.acknowledge(7);
        assertThat(renewal.renewing()).isTrue();
        assertThat(LaneScript.said(renewal).ranges()).containsExactly(new Range(0, 1, Acknowledgement.RENEW));
        long renewed = script.now;
        script.now += 40;
        script.acknowledged(7, BrokerCode.NONE);

        assertThat(script.idle(7)).isEqualTo(renewed + LaneScript.LOCK / 3);
    }

    @Test
    void after_a_reconnect_it_renews_all_and_adopts_what_comes_back() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 0, 2);
        script.cut(7);
        assertThat(script.lane(7).state()).isEqualTo(Lane.State.CLOSED);

        Fetch opening = script.fetch(7);
        assertThat(opening.epoch()).isEqualTo(LaneRequest.OPENING);
        assertThat(opening.records()).isZero();
        script.nothing(7);
        assertThat(script.lane(7).state()).isEqualTo(Lane.State.CHECKING);
        assertThat(LaneScript.said(script.acknowledge(7)).ranges())
                .containsExactly(new Range(0, 2, Acknowledgement.RENEW));
        script.acknowledged(7, BrokerCode.NOT_OURS);
        assertThat(script.fetch(7).records()).isEqualTo(3);
        assertThat(script.fetched(7, 0, BrokerCode.NONE, 0, 2, 2)).isEmpty();

        assertThat(script.lane(7).state()).isEqualTo(Lane.State.OPEN);
        assertThat(script.losses()).isEmpty();
        assertThat(records).allSatisfy(record -> assertThat(record.deliveries()).isEqualTo(2));
        assertThat(script.topic.hand().counts().adopted).isEqualTo(3);
        // the broker may free the locks of the old connection only now: they are looked at again soon
        assertThat(script.idle(7)).isEqualTo(script.now + LaneLocks.SECOND_LOOK_MILLIS);
    }

    @Test
    void a_broker_that_does_not_know_the_partition_yet_is_asked_too() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        script.fetched(7, 0, 0, 2);
        script.cut(7);
        script.fetch(7);
        script.nothing(7);
        script.acknowledge(7);
        script.acknowledged(7, BrokerCode.MOVED);

        assertThat(script.fetch(7).records()).isEqualTo(3);
        script.fetched(7, 0, BrokerCode.NONE, 0, 2, 2);

        assertThat(script.lane(7).state()).isEqualTo(Lane.State.OPEN);
        assertThat(script.losses()).isEmpty();
    }

    @Test
    void what_does_not_come_back_within_two_seconds_is_lost() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        script.fetched(7, 0, 0, 2);
        script.cut(7);
        script.fetch(7);
        script.nothing(7);
        script.acknowledge(7);
        script.acknowledged(7, BrokerCode.NOT_OURS);
        script.fetch(7);
        script.fetched(7, 0, BrokerCode.NONE, 1, 1, 2);

        long asked = script.now;
        while (script.now < asked + LaneLocks.ASK_MILLIS) {
            Fetch ask = script.fetch(7);
            assertThat(ask.records()).isEqualTo(2);
            script.now += ask.waitMillis();
            assertThat(script.losses()).isEmpty();
            script.nothing(7);
            if (script.now >= asked + LaneLocks.SECOND_LOOK_MILLIS
                    && script.step(7, new Lane.Share(0, 0, false))
                            instanceof LaneStep.Send(LaneRequest.Acknowledge look)) {
                assertThat(LaneScript.said(look).ranges()).containsExactly(new Range(1, 1, Acknowledgement.RENEW));
                script.acknowledged(7, BrokerCode.NONE);
            } else if (script.lane(7).isWaiting()) {
                script.now += 200;
                script.nothing(7);
            }
        }
        // the broker may still hold a lock for us: each record is renewed alone before it is given up
        for (int i = 0; i < 3 && !script.topic.hand().partition(0).held().isEmpty(); i++) {
            if (script.step(7) instanceof LaneStep.Send(LaneRequest.Acknowledge verify)) {
                boolean ours =
                        LaneScript.said(verify).acks().equals(List.of(new AckGroup.Ack(2, Acknowledgement.RENEW)));
                script.acknowledged(7, ours ? BrokerCode.NONE : BrokerCode.NOT_OURS);
            }
        }

        assertThat(script.losses()).containsExactly("jobs-0@0");
        assertThat(script.topic.hand().partition(0).held().keySet()).containsExactly(1L, 2L);
    }

    @Test
    void acknowledgements_without_an_answer_go_out_again_and_not_with_the_opening() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        script.fetched(7, 0, 0, 0).forEach(record -> script.topic.finish(record, Acknowledgement.ACCEPT));
        assertThat(script.fetch(7).acks()).hasSize(1);
        script.cut(7);

        assertThat(script.fetch(7).acks()).isEmpty();
        script.nothing(7);
        assertThat(LaneScript.said(script.fetch(7)).ranges()).containsExactly(new Range(0, 0, Acknowledgement.ACCEPT));
    }

    @Test
    void a_lost_session_opens_again_at_once() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        script.failed(7, BrokerCode.SESSION_GONE);

        assertThat(script.fetch(7).epoch()).isEqualTo(LaneRequest.OPENING);
    }

    @Test
    void at_the_session_limit_it_waits_longer_each_time() {
        LaneScript script = new LaneScript(3, ONE);
        long wait = 1_000;
        for (int i = 0; i < 8; i++) {
            script.fetch(7);
            script.failed(7, BrokerCode.SESSION_LIMIT);
            assertThat(script.idle(7)).isEqualTo(script.now + wait);
            script.now += wait;
            wait = Math.min(wait * 2, LanePace.LONGEST_PAUSE_MILLIS);
        }
    }

    @Test
    void a_throttled_lane_waits() {
        LaneScript script = new LaneScript(3, ONE);
        Fetch fetch = script.fetch(7);
        script.lane(7).onFetched(fetch, new LaneAnswer.Fetched(BrokerCode.NONE, "", 400, 0, List.of()), script.now);

        assertThat(script.idle(7)).isEqualTo(script.now + 400);
    }

    @Test
    void a_partition_without_records_for_now_is_asked_again_after_a_moment() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        script.answer(7, LaneScript.nothing(0, BrokerCode.RETRY, BrokerCode.NONE));

        assertThat(script.idle(7)).isEqualTo(script.now + LanePace.RETRY_MILLIS);
        assertThat(script.topic.hand().takeMetadataWanted()).isTrue();
    }

    @Test
    void a_partition_that_moves_is_checked_at_its_new_leader() {
        LaneScript script = new LaneScript(4, Map.of(0, 7, 1, 8)).opened(7);
        script.fetch(8);
        script.nothing(8);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 0, 0);

        List<Lane> gone = script.topic.onMetadata(new TopicLanes.View(LaneScript.TOPIC, Map.of(0, 8, 1, 8)));

        assertThat(gone).extracting(Lane::broker).containsExactly(7);
        Fetch added = script.fetch(8);
        assertThat(added.added()).containsExactly(0);
        assertThat(added.records()).isZero();
        script.nothing(8);
        assertThat(LaneScript.said(script.acknowledge(8)).ranges())
                .containsExactly(new Range(0, 0, Acknowledgement.RENEW));
        script.acknowledged(8, BrokerCode.NOT_OURS);
        assertThat(script.fetch(8).records()).isEqualTo(4);
        assertThat(script.fetched(8, 0, BrokerCode.NONE, 0, 0, 2)).isEmpty();
        assertThat(script.lane(8).state()).isEqualTo(Lane.State.OPEN);
        script.topic.finish(records.getFirst(), Acknowledgement.ACCEPT);
        assertThat(script.fetch(8).acks()).containsKey(0);
    }

    @Test
    void an_added_partition_joins_the_session() {
        LaneScript script = new LaneScript(4, ONE).opened(7);

        script.topic.onMetadata(new TopicLanes.View(LaneScript.TOPIC, TWO));

        Fetch fetch = script.fetch(7);
        assertThat(fetch.epoch()).isEqualTo(1);
        assertThat(fetch.added()).containsExactly(1);
    }

    @Test
    void a_topic_made_anew_loses_what_was_in_hand_and_begins_again() {
        LaneScript script = new LaneScript(4, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 0, 1);
        script.topic.finish(records.get(1), Acknowledgement.ACCEPT);

        script.topic.onMetadata(new TopicLanes.View(new Uuid(2, 2), ONE));

        assertThat(script.losses()).containsExactly("jobs-0@0");
        Fetch opening = script.fetch(7);
        assertThat(opening.epoch()).isEqualTo(LaneRequest.OPENING);
        script.fetched(7, 0, 0, 0);
        assertThat(script.fetch(7).acks()).isEmpty();
    }

    @Test
    void cold_lanes_ask_for_one_record_and_leave_the_rest() {
        LaneScript script = new LaneScript(10, Map.of(0, 7, 1, 8, 2, 9));
        for (int broker : List.of(7, 8, 9)) {
            script.opened(broker);
        }
        assertThat(script.fetch(7).records()).isEqualTo(1);
        assertThat(script.fetch(8).records()).isEqualTo(1);
        script.fetched(7, 0, 0, 0);

        Fetch hot = script.fetch(7);
        assertThat(hot.records()).isEqualTo(7);
        assertThat(script.fetch(9).records()).isEqualTo(1);
        assertThat(script.topic.free(script.now)).isZero();
    }

    @Test
    void only_assigned_partitions_are_fetched_when_the_broker_asks_for_it() {
        LaneScript script = new LaneScript(4, TWO).opened(7);
        script.topic.hand().fetchOnly(java.util.Set.of(1));

        Fetch fetch = script.fetch(7);

        assertThat(fetch.forgotten()).containsExactly(0);
    }

    @Test
    void closing_acknowledges_what_is_known_and_ends_the_session() {
        LaneScript script = new LaneScript(4, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 0, 1);
        script.topic.finish(records.getFirst(), Acknowledgement.ACCEPT);
        script.lane(7).close();

        LaneRequest.Acknowledge last = script.acknowledge(7);
        assertThat(last.epoch()).isEqualTo(LaneRequest.FINAL);
        assertThat(LaneScript.said(last).ranges()).containsExactly(new Range(0, 0, Acknowledgement.ACCEPT));
        script.acknowledged(7, BrokerCode.NONE);

        assertThat(script.lane(7).isGone()).isTrue();
    }

    @Test
    void a_lock_that_ran_out_and_is_refused_is_lost_at_once() {
        LaneScript script = new LaneScript(1, ONE).opened(7);
        script.fetch(7);
        script.fetched(7, 0, 0, 0);
        script.now += 2L * LaneScript.LOCK;

        script.acknowledge(7);
        script.acknowledged(7, BrokerCode.NOT_OURS);

        assertThat(script.losses()).containsExactly("jobs-0@0");
    }
}
