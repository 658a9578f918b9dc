package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Priority;
import dev.penstock.node.Node;
import dev.penstock.schedule.preempt.RunningAttempt;
import dev.penstock.wire.record.Pauses;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Threads of direct calls that wait, and why their wait ends. */
@Timeout(60)
class SchedulerCallsTest {
    private static final Map<String, String> GPU_A = SchedulerRig.node("gpu-a", 1);
    private static final Map<String, String> GPU_B = SchedulerRig.node("gpu-b", 1);

    private static JobFailure refusal(SchedulerRig.Waiting waiting) {
        return ((Admission.Refused) waiting.result()).failure();
    }

    @Test
    void a_call_takes_a_slot_of_its_node_and_none_of_the_replica() {
        SchedulerRig rig = new SchedulerRig(SchedulerRig.node("gpu-a", 4), Map.of("intake.slots", "1"));
        rig.nodes.server("gpu-a").up("llama");
        QueueEntry job = rig.enter("llama");
        rig.waits(job).slot();

        QueueEntry call = rig.enterCall("llama");
        Node.Slot slot = rig.waits(call).slot();

        assertThat(call.isCall()).isTrue();
        assertThat(job.isCall()).isFalse();
        assertThat(rig.node("gpu-a").inFlight()).isEqualTo(2);
        assertThat(rig.node("gpu-a").requests().calls()).isEqualTo(1);
        slot.close();
        call.close();
        assertThat(rig.node("gpu-a").requests().calls()).isZero();
        SchedulerRig.Waiting next = rig.waits(rig.enter("llama"));
        assertThat(next.isOver())
                .as("the call gave back no slot of the replica")
                .isFalse();
        job.close();
        next.slot();
    }

    @Test
    void a_freed_slot_goes_to_the_call_although_the_job_waits_longer() {
        SchedulerRig rig = new SchedulerRig(GPU_A);
        rig.nodes.server("gpu-a").up("llama");
        Node.Slot held = rig.waits(rig.enter("llama")).slot();
        SchedulerRig.Waiting job = rig.waits(rig.enter("llama", Priority.HIGH, false));
        SchedulerRig.Waiting call = rig.waits(rig.enterCall("llama"));
        assertThat(rig.waiting("high") + rig.waiting("normal")).as("jobs only").isEqualTo(1);
        assertThat(rig.gauge("penstock.calls.waiting", "priority", "normal")).isEqualTo(1);
        assertThat(rig.scheduler.waitingFor("gpu-a")).isEqualTo(2);

        held.close();

        Node.Slot first = call.slot();
        assertThat(job.isOver()).isFalse();
        first.close();
        job.slot();
    }

    @Test
    void the_call_above_the_bound_is_refused_at_once() {
        SchedulerRig rig = new SchedulerRig(GPU_A, Map.of("admission.max-waiting", "2"));
        rig.nodes.server("gpu-a").up("llama");
        Node.Slot held = rig.take("gpu-a");
        List<SchedulerRig.Waiting> waiting =
                List.of(rig.waits(rig.enterCall("llama")), rig.waits(rig.enterCall("llama")));

        JobFailure refusal = refusal(rig.waits(rig.enterCall("llama")));

        assertThat(refusal.code()).isEqualTo(JobFailure.Code.RATE_LIMITED);
        assertThat(refusal.message())
                .isEqualTo(
                        "2 calls wait for a node in this replica, and no more may wait (penstock.admission.max-waiting)");
        assertThat(refusal.again().after()).hasSeconds(2);
        assertThat(waiting).noneMatch(SchedulerRig.Waiting::isOver);
        held.close();
        waiting.getFirst().slot().close();
        waiting.getLast().slot().close();
        assertThat(rig.waits(rig.enterCall("llama")).result()).isInstanceOf(Admission.Granted.class);
    }

    @Test
    void a_tenant_at_its_limit_gets_the_limit_and_the_time_in_the_refusal() {
        SchedulerRig rig =
                new SchedulerRig(SchedulerRig.node("gpu-a", 4), Map.of("tenants.acme.requests-per-minute", "1"));
        rig.nodes.server("gpu-a").up("llama");
        rig.waits(rig.enterCall("llama", "acme")).slot().close();
        rig.pass(Duration.ofSeconds(20));

        JobFailure refusal = refusal(rig.waits(rig.enterCall("llama", "acme")));

        assertThat(refusal.code()).isEqualTo(JobFailure.Code.RATE_LIMITED);
        assertThat(refusal.message())
                .isEqualTo(
                        "tenant 'acme' has reached its requests-per-minute: 1 of 1 jobs in a minute; a job may start in 41 s");
        assertThat(refusal.again().after()).hasSeconds(41);
        SchedulerRig.Waiting job = rig.waits(rig.enter("llama", Priority.NORMAL, "acme", false));
        assertThat(job.isOver()).as("a job waits").isFalse();
        rig.pass(Duration.ofSeconds(5));
        assertThat(job.result()).isEqualTo(new Admission.Deferred(Admission.Cause.TENANT_LIMIT));
    }

    @Test
    void jobs_in_flight_have_no_known_end_so_the_caller_tries_again_soon() {
        SchedulerRig rig = new SchedulerRig(SchedulerRig.node("gpu-a", 4), Map.of("tenants.acme.max-in-flight", "1"));
        rig.nodes.server("gpu-a").up("llama");
        QueueEntry call = rig.enterCall("llama", "acme");
        rig.waits(call).slot().close();

        assertThat(refusal(rig.waits(rig.enterCall("llama", "acme"))).again().after())
                .hasSeconds(2);
        call.close();
        assertThat(rig.waits(rig.enterCall("llama", "acme")).result()).isInstanceOf(Admission.Granted.class);
    }

    @Test
    void a_call_is_refused_when_its_last_node_goes_down_or_is_paused() {
        SchedulerRig rig = new SchedulerRig(GPU_A, GPU_B);
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("llama");
        rig.take("gpu-a");
        rig.take("gpu-b");
        SchedulerRig.Waiting waiting = rig.waits(rig.enterCall("llama"));

        rig.nodes.server("gpu-a").down();
        assertThat(waiting.isOver()).isFalse();
        rig.nodes.paused(new Pauses.Pause(Pauses.Kind.NODE, "gpu-b", rig.clock.instant()));

        JobFailure refusal = refusal(waiting);
        assertThat(refusal.code()).isEqualTo(JobFailure.Code.NO_NODE);
        assertThat(refusal.message())
                .isEqualTo(
                        "no node is up that may serve the request: 'gpu-a' is down or paused, 'gpu-b' is down or paused");
        assertThat(refusal.again().after()).hasSeconds(2);
        rig.nodes.paused();
        assertThat(rig.waits(rig.enterCall("llama")).isOver()).isFalse();
    }

    @Test
    void a_call_gets_a_spare_slot_for_a_second_request() {
        SchedulerRig rig = new SchedulerRig(GPU_A, GPU_B);
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("llama");
        QueueEntry call = rig.enterCall("llama");
        String first = rig.waits(call).slot().node().name();

        Admission.Granted spare = call.spare(Avoid.NOTHING, first).orElseThrow();

        String other = spare.slot().node().name();
        assertThat(other).isNotEqualTo(first);
        assertThat(rig.node(other).requests().calls()).isEqualTo(1);
    }

    @Test
    void a_call_that_is_stopped_leaves_the_line() {
        SchedulerRig rig = new SchedulerRig(GPU_A, Map.of("admission.max-waiting", "1"));
        rig.nodes.server("gpu-a").up("llama");
        rig.take("gpu-a");
        SchedulerRig.Waiting first = rig.waits(rig.enterCall("llama"));

        first.entry.stop();

        assertThat(first.result()).isEqualTo(new Admission.Stopped());
        assertThat(rig.waits(rig.enterCall("llama")).isOver()).isFalse();
    }

    @Test
    void a_job_that_may_preempt_stops_a_call_of_lower_priority() {
        SchedulerRig rig = new SchedulerRig(GPU_A);
        rig.nodes.server("gpu-a").up("llama");
        QueueEntry call = rig.enterCall("llama");
        Node.Slot slot = rig.waits(call).slot();
        RunningAttempt attempt = attempt();
        QueueEntry.Running running = call.runs(attempt);
        QueueEntry urgent = rig.enter("llama", Priority.HIGH, false);
        urgent.mayPreempt();
        SchedulerRig.Waiting job = rig.waits(urgent);

        assertThat(attempt.isAsked()).isTrue();
        assertThat(attempt.givesReplicaSlot()).isFalse();
        call.preempted(attempt);
        slot.close();
        running.close();

        assertThat(job.result()).isInstanceOf(Admission.Granted.class);
        assertThat(rig.waits(call).isOver()).as("it waits again").isFalse();
    }

    @Test
    void a_call_is_not_stopped_for_a_slot_of_the_replica() {
        SchedulerRig rig = new SchedulerRig(SchedulerRig.node("gpu-a", 4), Map.of("intake.slots", "1"));
        rig.nodes.server("gpu-a").up("llama");
        QueueEntry call = rig.enterCall("llama");
        rig.waits(call).slot();
        RunningAttempt attempt = attempt();
        call.runs(attempt);
        rig.waits(rig.enter("llama", Priority.HIGH, false)).slot();
        QueueEntry urgent = rig.enter("llama", Priority.HIGH, false);
        urgent.mayPreempt();

        assertThat(rig.waits(urgent).isOver()).isFalse();
        assertThat(attempt.isAsked()).isFalse();
    }

    @Test
    void no_attempt_is_stopped_for_a_slot_that_another_kind_would_get() {
        SchedulerRig rig = new SchedulerRig(SchedulerRig.node("gpu-a", 2));
        rig.nodes.server("gpu-a").up("llama");
        QueueEntry low = rig.enter("llama", Priority.LOW, false);
        rig.waits(low).slot();
        RunningAttempt attempt = attempt();
        low.runs(attempt);
        Node.Slot call = rig.waits(rig.enterCall("llama")).slot();
        rig.waits(rig.enter("llama"));
        QueueEntry urgent = rig.enterCall("llama", Priority.HIGH, "default");
        urgent.mayPreempt();

        SchedulerRig.Waiting waiting = rig.waits(urgent);

        assertThat(attempt.isAsked()).as("the waiting job would get the slot").isFalse();
        call.close();
        waiting.slot();
    }

    private static RunningAttempt attempt() {
        RunningAttempt attempt = new RunningAttempt("gpu-a");
        attempt.wrote(OptionalLong.of(100), null, 0, 0);
        return attempt;
    }
}
