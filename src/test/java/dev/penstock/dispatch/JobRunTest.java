package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.execution.StopSignal;
import dev.penstock.job.JobFailure;
import dev.penstock.node.FakeNodes;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import java.time.Duration;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a run does with its record: recovery, acknowledgement, deferral. */
@Timeout(60)
class JobRunTest {
    private final RunRig rig = new RunRig(RunRig.VLLM);
    private final TakenJob job = rig.job("llama");
    private final FakeDelivery delivery = new FakeDelivery();

    @Test
    void a_record_is_acknowledged_when_its_outcome_is_on_the_broker() {
        RunRig slow = new RunRig(RunRig.VLLM, false);
        slow.nodes.server("gpu-a").up("llama").onCall(call -> call.answer("Hi"));
        RunRig.Run run = slow.start(slow.job("llama"));

        Conditions.await(() -> run.names().size() == 3, () -> "no outcome");
        slow.producer.completeNext();
        slow.producer.completeNext();
        assertThat(run.delivery.ends).isEmpty();
        assertThat(run.run.isWaiting()).as("it concludes").isFalse();
        slow.producer.completeNext();
        run.join();

        assertThat(run.names()).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(run.delivery.ends).containsExactly("acknowledged");
        assertThat(slow.meters
                        .get("penstock.jobs")
                        .tags("outcome", "completed", "backend", "vllm")
                        .counter()
                        .count())
                .isEqualTo(1);
    }

    @Test
    void a_failed_job_is_acknowledged_too() {
        rig.server().up("llama").onCall(call -> call.fail(JobFailure.of(JobFailure.Code.INVALID_REQUEST, "no")));

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).containsExactly("started 1", "failed 1");
        assertThat(delivery.ends).containsExactly("acknowledged");
        assertThat(delivery.asOnlyRun).as("it has not looked for other runs").isTrue();
    }

    @Test
    void the_last_delivery_of_a_record_is_deferred_and_not_run() {
        rig.answers();
        delivery.last = true;
        delivery.handedBack = 3;
        delivery.failures = 1;

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(delivery.ends).containsExactly("deferred NONE DEFERRED 3 1");
        assertThat(run.names()).isEmpty();
    }

    @Test
    void a_job_that_waits_is_handed_back_when_the_replica_ends() {
        RunRig.Run run = rig.start(job, delivery);
        assertThat(run.run.isWaiting()).isTrue();

        run.run.stop(StopSignal.Reason.SHUTDOWN);
        run.join();

        assertThat(delivery.ends).containsExactly("handed back 0");
        assertThat(run.names()).isEmpty();
    }

    @Test
    void a_job_that_runs_is_handed_back_with_its_attempt() {
        FakeNodes.Server server = rig.server().up("llama");
        RunRig.Run run = rig.start(job, delivery);
        RunRig.awaitCall(server);

        run.run.stop(StopSignal.Reason.SHUTDOWN);
        run.join();

        assertThat(delivery.ends).containsExactly("handed back 1");
        assertThat(run.names()).containsExactly("started 1");
        assertThat(run.run.firstAttemptOfLost()).isZero();
    }

    @Test
    void a_lost_record_is_left_alone() {
        FakeNodes.Server server = rig.server().up("llama");
        RunRig.Run run = rig.start(job, delivery);
        RunRig.awaitCall(server);

        run.run.stop(StopSignal.Reason.LOCK_LOST);
        run.join();

        assertThat(delivery.ends).isEmpty();
        assertThat(run.names()).containsExactly("started 1");
        assertThat(run.run.firstAttemptOfLost()).isEqualTo(1);
    }

    @Test
    void a_record_that_is_lost_between_two_attempts_is_left_alone() {
        FakeNodes.Server server = rig.server().up("llama");
        RunRig.Run run = rig.start(job, delivery);
        RunRig.awaitCall(server);

        delivery.held = false;
        server.calls().getFirst().fail(JobFailure.of(JobFailure.Code.STREAM_BROKEN, "closed"));
        run.join();

        assertThat(delivery.ends).isEmpty();
        assertThat(run.names()).containsExactly("started 1");
    }

    @Test
    void a_job_that_was_cancelled_before_ends_without_an_attempt() {
        rig.answers();
        rig.cancelled.add(job.job().id());

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).containsExactly("cancelled 0");
        assertThat(delivery.ends).containsExactly("acknowledged");
    }

    private RunRig nodesDown() {
        RunRig two = new RunRig(RunRig.keys(RunRig.VLLM, TestSettings.node("gpu-b", "vllm", 1)));
        two.nodes.server("gpu-a").up("llama").down();
        two.nodes.server("gpu-b").up("other");
        return two;
    }

    private static void awaitWaiting(RunRig rig) {
        Conditions.await(() -> rig.scheduler.waitingFor("gpu-a") == 1, () -> "it does not wait");
    }

    @Test
    void a_job_whose_nodes_are_down_is_deferred_longer_each_time() {
        RunRig two = nodesDown();
        delivery.handedBack = 2;
        delivery.failures = 1;
        RunRig.Run first = two.start(two.job("llama"), delivery);
        awaitWaiting(two);
        two.pass(Duration.ofSeconds(5));
        first.join();
        assertThat(delivery.ends).containsExactly("deferred SHORT NODE_DOWN 2 1");
        assertThat(Objects.requireNonNull(first.run.deferral()).routeKey()).isNotNull();

        FakeDelivery again = new FakeDelivery();
        again.deferredSince = two.clock.instant();
        two.start(two.job("llama"), again).join();
        assertThat(again.ends).containsExactly("deferred MEDIUM NODE_DOWN 0 0");
    }

    @Test
    void a_job_that_is_deferred_after_an_attempt_keeps_what_it_has() {
        RunRig two = nodesDown();
        FakeNodes.Server server = two.nodes.server("gpu-a").up("llama");
        RunRig.Run run = two.start(two.job("llama"), delivery);
        RunRig.awaitCall(server);
        server.calls().getFirst().fail(JobFailure.of(JobFailure.Code.STREAM_BROKEN, "closed"));
        awaitWaiting(two);
        server.down();
        two.pass(Duration.ofSeconds(6));
        run.join();

        assertThat(delivery.ends).containsExactly("deferred SHORT NODE_DOWN 1 1");
        assertThat(run.names()).containsExactly("started 1");
    }

    @Test
    void a_redelivered_record_whose_job_has_an_outcome_is_acknowledged_and_not_run() {
        rig.answers();
        rig.otherStarts(job, 1, "a");
        rig.otherEnds(job, 1, "a");
        delivery.redelivered = true;

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).containsExactly("started 1", "cancelled 1");
        assertThat(delivery.ends).containsExactly("acknowledged");
        assertThat(rig.server().calls()).isEmpty();
    }

    @Test
    void a_redelivered_record_without_an_outcome_goes_on_with_the_next_attempt() {
        rig.answers();
        rig.otherStarts(job, 1, "a");
        delivery.redelivered = true;

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).containsExactly("started 1", "started 2", "chunk 2", "completed 2");
        assertThat(delivery.ends).containsExactly("acknowledged");
        assertThat(delivery.asOnlyRun).isFalse();
    }

    /** A job that crashes the process leaves at least its started. */
    @Test
    void a_run_that_recovered_waits_until_its_started_is_on_the_broker() {
        RunRig slow = new RunRig(RunRig.VLLM, false);
        TakenJob taken = slow.job("llama");
        FakeNodes.Server server = slow.nodes.server("gpu-a").up("llama").onCall(call -> call.answer("Hi"));
        delivery.redelivered = true;

        RunRig.Run run = slow.start(taken, delivery);
        Conditions.await(() -> run.names().size() == 1, () -> "no started");
        assertThat(server.calls()).isEmpty();
        Conditions.await(
                () -> {
                    slow.producer.completeNext();
                    return run.isOver();
                },
                () -> "it goes on");

        assertThat(run.names()).containsExactly("started 1", "chunk 1", "completed 1");
        assertThat(delivery.ends).containsExactly("acknowledged");
    }

    @Test
    void a_run_whose_job_another_run_took_over_publishes_its_answer_again() {
        FakeNodes.Server server = rig.server().up("llama");
        rig.otherStarts(job, 1, "a");
        delivery.redelivered = true;
        RunRig.Run run = rig.start(job, delivery);
        RunRig.awaitCall(server);

        rig.otherStarts(job, 3, "b");
        server.calls().getFirst().answer("Hi");
        run.join();

        assertThat(run.names())
                .containsExactly(
                        "started 1",
                        "started 2",
                        "started 3",
                        "chunk 2",
                        "completed 2",
                        "started 4",
                        "chunk 4",
                        "completed 4");
        assertThat(delivery.ends).containsExactly("acknowledged");
    }

    @Test
    void a_first_run_that_may_not_have_been_the_first_looks_again_too() {
        FakeNodes.Server server = rig.server().up("llama");
        RunRig.Run run = rig.start(job, delivery);
        RunRig.awaitCall(server);

        rig.otherStarts(job, 2, "b");
        delivery.redeliveredAfterAll = true;
        server.calls().getFirst().answer("Hi");
        run.join();

        assertThat(run.names())
                .containsExactly(
                        "started 1", "started 2", "chunk 1", "completed 1", "started 3", "chunk 3", "completed 3");
        assertThat(delivery.ends).containsExactly("acknowledged");
        assertThat(delivery.asOnlyRun).isFalse();
    }

    @Test
    void another_body_under_a_known_id_is_refused() {
        TakenJob first = rig.named("llama", 100);
        TakenJob second = rig.named("llama", 101);
        rig.ledger.answersAfter(0);
        rig.ledger.submitted(first.job(), first.stamp(), "another hash");
        rig.ledger.submitted(second.job(), second.stamp(), second.bodyHash());

        RunRig.Run run = rig.start(second, delivery).join();

        assertThat(Objects.requireNonNull(run.refused()).code()).isEqualTo(JobFailure.Code.ID_CONFLICT);
        assertThat(delivery.ends).isEmpty();
        assertThat(run.names()).isEmpty();
    }
}
