package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.node.Node;
import dev.penstock.testkit.Conditions;
import dev.penstock.wire.record.Pauses;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What does not start while an operator has paused a topic, a pool or a node. */
@Timeout(60)
class SchedulerPausesTest {
    private static final Map<String, String> GPU_A = SchedulerRig.node("gpu-a", 1);
    private static final Map<String, String> GPU_B = SchedulerRig.node("gpu-b", 1);

    @Test
    void a_paused_node_begins_nothing_and_its_running_request_goes_on() {
        SchedulerRig rig = new SchedulerRig(GPU_A, GPU_B);
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("llama");
        Node.Slot running = rig.take("gpu-a");

        rig.nodes.paused(pause(rig, Pauses.Kind.NODE, "gpu-a"));
        running.close();
        SchedulerRig.Waiting first = rig.waits(rig.enter("llama"));
        assertThat(first.slot().node().name()).isEqualTo("gpu-b");
        SchedulerRig.Waiting second = rig.waits(rig.enter("llama"));
        assertThat(rig.node("gpu-a").inFlight()).isZero();
        assertThat(rig.node("gpu-a").health().state()).as("its state stays").isEqualTo(Node.State.UP);
        assertThat(second.isOver()).isFalse();

        rig.nodes.paused();

        assertThat(second.slot().node().name()).isEqualTo("gpu-a");
    }

    @Test
    void a_paused_pool_is_passed_over_and_covers_later_nodes() {
        SchedulerRig rig =
                new SchedulerRig(GPU_A, GPU_B, Map.of("nodes.gpu-a.pool", "gpu", "nodes.gpu-b.pool", "rest"));
        rig.nodes.paused(pause(rig, Pauses.Kind.POOL, "gpu"));
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("llama");

        assertThat(rig.waits(rig.enter("llama")).slot().node().name()).isEqualTo("gpu-b");
        assertThat(rig.nodes.anyTakesJobs()).isTrue();
        rig.nodes.server("gpu-b").down();
        assertThat(rig.nodes.anyTakesJobs())
                .as("gpu-a is up, and takes nothing")
                .isFalse();
    }

    @Test
    void jobs_whose_nodes_are_all_paused_are_deferred_like_those_of_nodes_that_are_down() {
        SchedulerRig rig = new SchedulerRig(GPU_A, GPU_B);
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("phi");
        rig.nodes.paused(pause(rig, Pauses.Kind.NODE, "gpu-a"));
        SchedulerRig.Waiting waiting = rig.waits(rig.enter("llama"));
        Conditions.await(() -> rig.scheduler.waitingFor("gpu-a") == 1, () -> "it does not wait");

        rig.pass(Duration.ofSeconds(5));

        assertThat(waiting.result()).isEqualTo(new Admission.Deferred(Admission.Cause.NODES_DOWN));
    }

    @Test
    void a_paused_node_is_another_node_for_a_job_that_failed() {
        SchedulerRig rig = new SchedulerRig(GPU_A, GPU_B);
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("llama");
        rig.nodes.paused(pause(rig, Pauses.Kind.NODE, "gpu-b"));

        assertThat(rig.enter("llama").hasOther(Set.of("gpu-a")))
                .as("the job waits for it")
                .isTrue();
        assertThat(rig.enter("llama").hasOther(Set.of("gpu-a", "gpu-b"))).isFalse();
    }

    @Test
    void a_paused_topic_is_closed_and_its_jobs_wait() {
        SchedulerRig rig = new SchedulerRig(GPU_A);
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.paused(pause(rig, Pauses.Kind.TOPIC, "prompt-jobs"));
        SchedulerRig.Waiting waiting = rig.waits(rig.enter("llama"));
        Conditions.await(() -> rig.scheduler.waitingFor("gpu-a") == 1, () -> "it does not wait");

        assertThat(rig.nodes.takeJobsOf("prompt-jobs")).isFalse();
        assertThat(rig.nodes.takeJobsOf("prompt-jobs-low")).isTrue();
        assertThat(waiting.isOver()).isFalse();

        rig.nodes.paused();

        assertThat(waiting.slot().node().name()).isEqualTo("gpu-a");
        assertThat(rig.nodes.takeJobsOf("prompt-jobs")).isTrue();
    }

    private static Pauses.Pause pause(SchedulerRig rig, Pauses.Kind kind, String name) {
        return new Pauses.Pause(kind, name, rig.clock.instant());
    }
}
