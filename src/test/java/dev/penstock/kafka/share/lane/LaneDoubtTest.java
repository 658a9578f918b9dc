package dev.penstock.kafka.share.lane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.AckGroup.Range;
import dev.penstock.kafka.share.lane.LaneRequest.Fetch;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Records that another consumer may have had between two locks of this process. */
class LaneDoubtTest {
    private static final Map<Integer, Integer> ONE = Map.of(0, 7);
    private static final Map<Integer, Integer> TWO = Map.of(0, 7, 1, 7);

    /** Another consumer may have had it meanwhile, so the outcome of its run here may be void. */
    @Test
    void a_record_whose_acknowledgement_was_refused_is_new_when_it_comes_again() {
        LaneScript script = new LaneScript(8, ONE).opened(7);
        script.fetch(7);
        script.fetched(7, 0, 4, 4).forEach(record -> script.topic.finish(record, Acknowledgement.ACCEPT));
        script.fetch(7);
        script.answer(7, LaneScript.nothing(0, BrokerCode.NONE, BrokerCode.NOT_OURS));

        script.fetch(7);
        assertThat(script.fetched(7, 0, BrokerCode.NONE, 4, 4, 3)).hasSize(1);

        assertThat(script.fetch(7).acks()).isEmpty();
    }

    @Test
    void an_acknowledgement_from_before_a_cut_does_not_count_for_the_lock_after_it() {
        LaneScript script = new LaneScript(8, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 4, 5);
        script.cut(7);
        records.forEach(record -> script.topic.finish(record, Acknowledgement.ACCEPT));

        // nothing is in flight, so the opening may bring a record
        script.fetch(7);
        assertThat(script.fetched(7, 0, BrokerCode.NONE, 4, 4, 3)).hasSize(1);

        assertThat(LaneScript.said(script.fetch(7)).ranges()).containsExactly(new Range(5, 5, Acknowledgement.ACCEPT));
    }

    @Test
    void an_acknowledgement_without_an_answer_is_not_repeated_for_a_record_that_another_lane_has_taken_again() {
        LaneScript script = new LaneScript(8, Map.of(0, 7, 1, 8)).opened(7).opened(8);
        script.fetch(7);
        script.fetched(7, 0, 4, 5).forEach(record -> script.topic.finish(record, Acknowledgement.ACCEPT));
        assertThat(script.fetch(7).acks()).hasSize(1);
        script.topic.onMetadata(new TopicLanes.View(LaneScript.TOPIC, Map.of(0, 8, 1, 8)));
        script.fetch(8);
        assertThat(script.fetched(8, 0, BrokerCode.NONE, 4, 4, 1)).hasSize(1);

        script.cut(7);

        assertThat(LaneScript.said(script.fetch(8)).ranges()).containsExactly(new Range(5, 5, Acknowledgement.ACCEPT));
    }

    @Test
    void a_doubtful_record_that_ends_is_acknowledged_in_case_it_is_still_ours() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        List<TakenRecord> records = script.fetched(7, 0, 0, 1);
        script.cut(7);
        script.fetch(7);
        script.nothing(7);
        script.acknowledge(7);
        script.acknowledged(7, BrokerCode.NOT_OURS);

        script.topic.finish(records.getFirst(), Acknowledgement.ACCEPT);

        Fetch ask = script.fetch(7);
        assertThat(LaneScript.said(ask).ranges()).containsExactly(new Range(0, 0, Acknowledgement.ACCEPT));
        assertThat(ask.records()).isEqualTo(3);
    }

    // ---- acknowledgements of runs that did not look for other runs

    private static TakenRecord ended(LaneScript script) {
        script.fetch(7);
        TakenRecord record = script.fetched(7, 0, 4, 4).getFirst();
        script.topic.finish(record, Acknowledgement.ACCEPT_UNDOUBTED);
        return record;
    }

    private static void assertReleased(LaneRequest request) {
        assertThat(LaneScript.said(request).ranges()).containsExactly(new Range(4, 4, Acknowledgement.RELEASE));
    }

    /** The answer that brings the record again is lost, so this process owns it and does not know it. */
    @Test
    void an_undoubted_acknowledgement_that_waits_when_its_session_ends_releases() {
        LaneScript script = new LaneScript(8, ONE).opened(7);
        ended(script);
        script.cut(7);
        assertThat(script.fetch(7).records()).isEqualTo(1);
        script.cut(7);

        script.fetch(7);
        script.nothing(7);

        assertReleased(script.fetch(7));
    }

    @Test
    void an_undoubted_acknowledgement_without_an_answer_releases() {
        LaneScript script = new LaneScript(8, ONE).opened(7);
        ended(script);
        assertThat(LaneScript.said(script.fetch(7)).ranges())
                .containsExactly(new Range(4, 4, Acknowledgement.ACCEPT_UNDOUBTED));

        script.cut(7);

        script.fetch(7);
        script.nothing(7);
        assertReleased(script.fetch(7));
    }

    @Test
    void an_undoubted_acknowledgement_of_an_adopted_record_releases() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        TakenRecord record = script.fetched(7, 0, 4, 4).getFirst();
        script.cut(7);
        script.fetch(7);
        script.nothing(7);
        script.acknowledge(7);
        script.acknowledged(7, BrokerCode.NOT_OURS);
        script.fetch(7);
        script.fetched(7, 0, BrokerCode.NONE, 4, 4, 3);

        script.topic.finish(record, Acknowledgement.ACCEPT_UNDOUBTED);

        assertReleased(script.fetch(7));
    }

    @Test
    void an_undoubted_acknowledgement_is_repeated_in_the_same_session() {
        LaneScript script = new LaneScript(8, ONE).opened(7);
        ended(script);
        script.fetch(7);
        script.answer(7, LaneScript.nothing(0, BrokerCode.NONE, BrokerCode.RETRY));
        script.now += LanePace.RETRY_MILLIS;

        assertThat(LaneScript.said(script.fetch(7)).ranges())
                .containsExactly(new Range(4, 4, Acknowledgement.ACCEPT_UNDOUBTED));
    }

    @Test
    void an_undoubted_acknowledgement_whose_partition_moves_meanwhile_releases() {
        LaneScript script = new LaneScript(8, Map.of(0, 7, 1, 8)).opened(7).opened(8);
        ended(script);
        script.fetch(7);
        script.topic.onMetadata(new TopicLanes.View(LaneScript.TOPIC, Map.of(0, 8, 1, 8)));

        script.answer(7, LaneScript.nothing(0, BrokerCode.NONE, BrokerCode.RETRY));

        assertReleased(script.fetch(8));
    }

    @Test
    void an_undoubted_acknowledgement_without_an_answer_releases_at_the_next_leader() {
        LaneScript script = new LaneScript(8, Map.of(0, 7, 1, 8)).opened(7).opened(8);
        ended(script);
        script.fetch(7);
        script.topic.onMetadata(new TopicLanes.View(LaneScript.TOPIC, Map.of(0, 8, 1, 8)));

        script.cut(7);

        assertReleased(script.fetch(8));
    }

    // ---- what brings a record into doubt

    @Test
    void a_record_is_in_doubt_from_the_end_of_its_session_on() {
        LaneScript script = new LaneScript(3, TWO).opened(7);
        script.fetch(7);
        TakenRecord record = script.fetched(7, 0, 0, 0).getFirst();
        assertThat(record.wasInDoubt()).isFalse();

        script.cut(7);

        assertThat(record.wasInDoubt()).isTrue();
    }

    /** The process stood still until the lock ran out. */
    @Test
    void a_record_that_comes_again_in_the_same_session_is_in_doubt() {
        LaneScript script = new LaneScript(3, ONE).opened(7);
        script.fetch(7);
        TakenRecord record = script.fetched(7, 0, 0, 0).getFirst();
        script.fetch(7);

        assertThat(script.fetched(7, 0, BrokerCode.NONE, 0, 0, 3)).isEmpty();

        assertThat(record.wasInDoubt()).isTrue();
    }

    @Test
    void a_record_is_in_doubt_when_its_partition_moves() {
        LaneScript script = new LaneScript(3, TWO).opened(7);
        script.fetch(7);
        TakenRecord record = script.fetched(7, 0, 0, 0).getFirst();

        script.topic.onMetadata(new TopicLanes.View(LaneScript.TOPIC, Map.of(1, 7)));

        assertThat(record.wasInDoubt()).isTrue();
    }
}
