package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.Membership.Need;
import dev.penstock.kafka.share.lane.BrokerCode;
import dev.penstock.kafka.share.lane.LaneStep;
import java.util.Set;
import org.junit.jupiter.api.Test;

class MembershipTest {
    private final Membership member = new Membership();
    private long now = 1_000;

    private void joined(Set<Integer> assigned) {
        member.sent();
        member.onCoordinator(true, now);
        member.sent();
        member.onHeartbeat(BrokerCode.NONE, 3, 5_000, assigned, now);
    }

    @Test
    void it_finds_the_coordinator_joins_and_beats_at_the_groups_pace() {
        assertThat(member.need(now)).isEqualTo(new Need.Coordinator());
        member.sent();
        assertThat(member.need(now)).isEqualTo(new Need.Nothing(LaneStep.NEVER));
        member.onCoordinator(true, now);
        assertThat(member.need(now)).isEqualTo(new Need.Heartbeat(Membership.JOINING));
        member.sent();
        member.onHeartbeat(BrokerCode.NONE, 3, 5_000, Set.of(1), now);

        assertThat(member.need(now)).isEqualTo(new Need.Nothing(now + 5_000));
        now += 5_000;
        assertThat(member.need(now)).isEqualTo(new Need.Heartbeat(3));
        assertThat(member.assigned()).containsExactly(1);
    }

    @Test
    void without_an_assignment_it_beats_faster_for_a_while() {
        joined(Set.of());
        int fast = 1;
        while (member.need(now) instanceof Need.Nothing(long until) && until - now < 5_000) {
            now = until;
            member.sent();
            member.onHeartbeat(BrokerCode.NONE, 3, 5_000, Set.of(), now);
            fast++;
        }
        assertThat(fast).isBetween(10, 100);

        // a group with more members than partitions assigns nothing to some, for good
        for (int i = 0; i < 5; i++) {
            now += 5_000;
            member.sent();
            member.onHeartbeat(BrokerCode.NONE, 3, 5_000, Set.of(), now);
            assertThat(member.need(now)).isEqualTo(new Need.Nothing(now + 5_000));
        }
    }

    @Test
    void a_group_that_was_deleted_is_joined_again() {
        joined(Set.of(0));
        now += 5_000;
        member.sent();
        // GROUP_ID_NOT_FOUND
        member.onHeartbeat(BrokerCode.MOVED, 0, 0, Set.of(), now);
        now += 100;

        assertThat(member.need(now)).isEqualTo(new Need.Heartbeat(Membership.JOINING));
    }

    @Test
    void a_coordinator_that_is_not_ready_is_asked_less_often_each_time() {
        joined(Set.of(0));
        now += 5_000;
        for (long wait : new long[] {100, 200, 400, 800, 1_000, 1_000}) {
            member.sent();
            member.onHeartbeat(BrokerCode.RETRY, 0, 0, Set.of(), now);
            assertThat(member.need(now)).isEqualTo(new Need.Nothing(now + wait));
            now += wait;
        }
    }

    @Test
    void a_broker_that_names_no_interval_is_not_flooded() {
        member.sent();
        member.onCoordinator(true, now);
        member.sent();
        member.onHeartbeat(BrokerCode.NONE, 3, 0, Set.of(0), now);

        assertThat(member.need(now)).isEqualTo(new Need.Nothing(now + 100));
    }

    @Test
    void an_unknown_member_joins_again() {
        joined(Set.of(0));
        now += 5_000;
        member.sent();
        member.onHeartbeat(BrokerCode.UNKNOWN_MEMBER, 0, 0, Set.of(), now);

        now += 100;
        assertThat(member.need(now)).isEqualTo(new Need.Heartbeat(Membership.JOINING));
    }

    @Test
    void a_group_that_is_gone_is_joined_anew_and_one_of_another_kind_is_asked_rarely() {
        joined(Set.of(0));
        now += 5_000;
        member.sent();
        member.onHeartbeat(BrokerCode.MOVED, 0, 0, Set.of(), now);
        now += 100;
        assertThat(member.need(now)).isEqualTo(new Need.Heartbeat(Membership.JOINING));

        member.sent();
        member.onHeartbeat(BrokerCode.MOVED, 0, 0, Set.of(), now);
        assertThat(member.need(now)).isEqualTo(new Need.Nothing(now + 5_000));
    }

    @Test
    void another_coordinator_is_looked_for() {
        joined(Set.of(0));
        now += 5_000;
        member.sent();
        member.onHeartbeat(BrokerCode.NOT_COORDINATOR, 0, 0, Set.of(), now);
        now += 100;
        assertThat(member.need(now)).isEqualTo(new Need.Coordinator());
        member.sent();
        member.onCoordinator(false, now);
        assertThat(member.need(now)).isEqualTo(new Need.Nothing(now + 100));
        now += 100;
        member.sent();
        member.onCoordinator(true, now);
        assertThat(member.need(now)).isEqualTo(new Need.Heartbeat(3));
    }

    @Test
    void a_full_group_is_asked_again_later() {
        member.sent();
        member.onCoordinator(true, now);
        member.sent();
        member.onHeartbeat(BrokerCode.MEMBER_LIMIT, 0, 0, Set.of(), now);

        assertThat(member.need(now)).isEqualTo(new Need.Nothing(now + 5_000));
    }

    @Test
    void it_leaves_with_one_last_heartbeat() {
        joined(Set.of(0));
        member.leave(now);
        assertThat(member.need(now)).isEqualTo(new Need.Heartbeat(Membership.LEAVING));
        member.sent();
        member.onHeartbeat(BrokerCode.NONE, -1, 0, Set.of(), now);

        assertThat(member.hasLeft()).isTrue();
        assertThat(member.need(now)).isEqualTo(new Need.Nothing(LaneStep.NEVER));
    }

    @Test
    void the_answer_to_an_earlier_heartbeat_does_not_end_leaving() {
        joined(Set.of(0));
        now += 5_000;
        member.sent();
        member.leave(now);
        member.onHeartbeat(BrokerCode.NONE, 3, 5_000, Set.of(0), now);

        assertThat(member.hasLeft()).isFalse();
        assertThat(member.need(now)).isEqualTo(new Need.Heartbeat(Membership.LEAVING));
    }

    @Test
    void one_that_never_joined_leaves_without_a_word() {
        member.leave(now);
        assertThat(member.hasLeft()).isTrue();
    }
}
