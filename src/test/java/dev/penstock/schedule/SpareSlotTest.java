package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.node.Node;
import java.time.Instant;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Which slot a running attempt gets for a second request, without waiting. */
@Timeout(60)
class SpareSlotTest {
    private final SchedulerRig rig = rig(Map.of());

    private static SchedulerRig rig(Map<String, String> more) {
        SchedulerRig rig = new SchedulerRig(SchedulerRig.node("a", 2), SchedulerRig.node("b", 1), more);
        rig.nodes.server("a").up("llama");
        rig.nodes.server("b").up("llama");
        return rig;
    }

    @Test
    void it_is_a_free_slot_of_another_node_that_may_serve_the_job() {
        Admission.Granted spare = rig.enter("llama").spare(Avoid.NOTHING, "a").orElseThrow();

        assertThat(spare.slot().node().name()).isEqualTo("b");
        assertThat(spare.model()).isEqualTo("llama");
        assertThat(rig.enter("llama").spare(Avoid.NOTHING, "a"))
                .as("node b is full")
                .isEmpty();
        spare.slot().close();
        assertThat(rig.enter("llama").spare(Avoid.NOTHING, "a")).isPresent();
        assertThat(rig.enter("phi").spare(Avoid.NOTHING, "a")).isEmpty();
    }

    @Test
    void it_is_at_no_node_at_which_the_job_failed() {
        QueueEntry entry = rig.enter("llama");

        assertThat(entry.spare(new Avoid(Set.of("b"), Map.of()), "a")).isEmpty();
        assertThat(entry.spare(new Avoid(Set.of(), Map.of("b", Instant.EPOCH.plusSeconds(1))), "a"))
                .isEmpty();
    }

    @Test
    void it_is_at_no_node_that_a_job_waits_for() {
        SchedulerRig one = rig(Map.of("intake.slots", "1"));
        QueueEntry running = one.enter("llama");
        Node.Slot held = one.waits(running).slot();
        String other = held.node().name().equals("a") ? "b" : "a";
        assertThat(one.node(other).hasRoom()).isTrue();

        SchedulerRig.Waiting waiting = one.waits(one.enter("llama"));
        assertThat(waiting.isOver()).as("the replica has one slot").isFalse();

        assertThat(running.spare(Avoid.NOTHING, held.node().name())).isEmpty();
        waiting.entry.stop();
        waiting.result();
        assertThat(running.spare(Avoid.NOTHING, held.node().name())).isPresent();
    }

    @Test
    void it_is_at_no_node_whose_breaker_is_not_closed() {
        SchedulerRig two = rig(Map.of("breaker.minimum", "1"));
        try (Node.Slot slot = two.take("b")) {
            slot.failed(JobFailure.of(JobFailure.Code.NODE_ERROR, "out of memory"));
        }
        assertThat(two.node("b").requests().areTrials()).isTrue();
        two.pass(SchedulerRig.LONG);

        assertThat(two.enter("llama").spare(Avoid.NOTHING, "a")).isEmpty();
    }

    @Test
    void it_is_at_no_node_that_is_down() {
        rig.nodes.server("b").down();

        assertThat(rig.enter("llama").spare(Avoid.NOTHING, "a")).isEmpty();
    }
}
