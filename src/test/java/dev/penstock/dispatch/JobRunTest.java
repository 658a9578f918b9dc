package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.execution.StopSignal;
import dev.penstock.job.JobFailure;
import dev.penstock.node.FakeNodes;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a run does with its record: recovery, quarantine, acknowledgement, deferral. */
@Timeout(60)
class JobRunTest {
    private static final Map<String, String> VLLM = RunRig.node("gpu-a", "vllm", 64);

    private final RunRig rig = new RunRig(VLLM);
    private final TakenJob job = rig.job("llama");
    private final FakeDelivery delivery = new FakeDelivery();

    private FakeNodes.Server server() {
        return rig.nodes.server("gpu-a");
    }

    private void answers() {
        server().up("llama").onCall(call -> call.answer("Hi"));
    }

    private static void awaitCall(FakeNodes.Server server) {
        RunRig.await(() -> server.calls().size() == 1, () -> "no request");
    }

    @Test
    void a_record_is_acknowledged_when_its_outcome_is_on_the_broker() {
        RunRig slow = new RunRig(VLLM, false);
        slow.nodes.server("gpu-a").up("llama").onCall(call -> call.answer("Hi"));
        RunRig.Run run = slow.start(slow.job("llama"));

        RunRig.await(() -> run.names().size() == 2, () -> "no chunk");
        slow.producer.completeNext();
        slow.producer.completeNext();
        RunRig.await(() -> run.names().size() == 3, () -> "no outcome");
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
        server().up("llama").onCall(call -> call.fail(JobFailure.of(JobFailure.Code.INVALID_REQUEST, "no")));

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).containsExactly("started 1", "failed 1");
        assertThat(delivery.ends).containsExactly("acknowledged");
    }

    @Test
    void the_last_delivery_of_a_record_is_deferred_and_not_run() {
        answers();
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
        FakeNodes.Server server = server().up("llama");
        RunRig.Run run = rig.start(job, delivery);
        awaitCall(server);

        run.run.stop(StopSignal.Reason.SHUTDOWN);
        run.join();

        assertThat(delivery.ends).containsExactly("handed back 1");
        assertThat(run.names()).containsExactly("started 1");
        assertThat(run.run.firstAttemptOfLost()).isZero();
    }

    @Test
    void a_lost_record_is_left_alone() {
        FakeNodes.Server server = server().up("llama");
        RunRig.Run run = rig.start(job, delivery);
        awaitCall(server);

        run.run.stop(StopSignal.Reason.LOCK_LOST);
        run.join();

        assertThat(delivery.ends).isEmpty();
        assertThat(run.names()).containsExactly("started 1");
        assertThat(run.run.firstAttemptOfLost()).isEqualTo(1);
    }

    @Test
    void a_record_that_is_lost_between_two_attempts_is_left_alone() {
        FakeNodes.Server server = server().up("llama");
        RunRig.Run run = rig.start(job, delivery);
        awaitCall(server);

        delivery.held = false;
        server.calls().getFirst().fail(JobFailure.of(JobFailure.Code.STREAM_BROKEN, "closed"));
        run.join();

        assertThat(delivery.ends).isEmpty();
        assertThat(run.names()).containsExactly("started 1");
    }

    @Test
    void a_job_that_was_cancelled_before_ends_without_an_attempt() {
        answers();
        rig.cancelled.add(job.job().id());

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).containsExactly("cancelled 0");
        assertThat(delivery.ends).containsExactly("acknowledged");
    }

    private RunRig nodesDown() {
        RunRig two = new RunRig(RunRig.keys(VLLM, RunRig.node("gpu-b", "vllm", 1)));
        two.nodes.server("gpu-a").up("llama").down();
        two.nodes.server("gpu-b").up("other");
        return two;
    }

    private static void awaitWaiting(RunRig rig) {
        RunRig.await(() -> rig.scheduler.waitingFor("gpu-a") == 1, () -> "it does not wait");
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
        awaitCall(server);
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
        answers();
        rig.otherStarts(job, 1, "a");
        rig.otherEnds(job, 1, "a");
        delivery.redelivered = true;

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).containsExactly("started 1", "cancelled 1");
        assertThat(delivery.ends).containsExactly("acknowledged");
        assertThat(server().calls()).isEmpty();
    }

    @Test
    void a_redelivered_record_without_an_outcome_goes_on_with_the_next_attempt() {
        answers();
        rig.otherStarts(job, 1, "a");
        delivery.redelivered = true;

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).containsExactly("started 1", "started 2", "chunk 2", "completed 2");
        assertThat(delivery.ends).containsExactly("acknowledged");
    }

    /** A job that crashes the process leaves at least its started. */
    @Test
    void a_run_that_recovered_waits_until_its_started_is_on_the_broker() {
        RunRig slow = new RunRig(VLLM, false);
        TakenJob taken = slow.job("llama");
        FakeNodes.Server server = slow.nodes.server("gpu-a").up("llama").onCall(call -> call.answer("Hi"));
        delivery.redelivered = true;

        RunRig.Run run = slow.start(taken, delivery);
        RunRig.await(() -> run.names().size() == 1, () -> "no started");
        assertThat(server.calls()).isEmpty();
        RunRig.await(
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
        FakeNodes.Server server = server().up("llama");
        rig.otherStarts(job, 1, "a");
        delivery.redelivered = true;
        RunRig.Run run = rig.start(job, delivery);
        awaitCall(server);

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
        FakeNodes.Server server = server().up("llama");
        RunRig.Run run = rig.start(job, delivery);
        awaitCall(server);

        rig.otherStarts(job, 2, "b");
        delivery.redeliveredAfterAll = true;
        server.calls().getFirst().answer("Hi");
        run.join();

        assertThat(run.names())
                .containsExactly(
                        "started 1", "started 2", "chunk 1", "completed 1", "started 3", "chunk 3", "completed 3");
        assertThat(delivery.ends).containsExactly("acknowledged");
    }

    private void crashed(RunRig rig, TakenJob taken, int runs) {
        for (int attempt = 1; attempt <= runs; attempt++) {
            rig.otherStarts(taken, attempt, "crashed-" + attempt);
        }
    }

    @Test
    void a_job_with_four_crashed_runs_is_poison() {
        answers();
        crashed(rig, job, 4);
        delivery.redelivered = true;

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).endsWith("started 4", "failed 5");
        assertThat(run.last().at("/error/code").asText()).isEqualTo("poison");
        assertThat(run.last().at("/error/message").asText())
                .startsWith("4 runs of the job ended together with the process that ran it.");
        assertThat(delivery.ends).containsExactly("dead letter POISON 4", "acknowledged");
        assertThat(server().calls()).isEmpty();
    }

    @Test
    void poison_without_a_dead_letter_has_no_outcome() {
        crashed(rig, job, 3);
        delivery.redelivered = true;
        delivery.brokenRuns = 1;
        delivery.takesDeadLetters = false;

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).containsExactly("started 1", "started 2", "started 3");
        assertThat(delivery.ends).containsExactly("dead letter POISON 3");
    }

    @Test
    void poison_names_the_runs_that_an_exception_ended() {
        crashed(rig, job, 3);
        delivery.redelivered = true;
        delivery.brokenRuns = 1;

        assertThat(rig.start(job, delivery).join().last().at("/error/message").asText())
                .startsWith("4 runs of the job ended without an outcome, 1 of them by an unexpected exception");

        TakenJob other = rig.job("llama");
        FakeDelivery broken = new FakeDelivery();
        broken.brokenRuns = 4;
        assertThat(rig.start(other, broken).join().last().at("/error/message").asText())
                .startsWith("4 runs of the job ended by an unexpected exception before it started");
    }

    @Test
    void runs_that_were_handed_back_and_runs_that_lost_their_record_here_are_no_crashes() {
        answers();
        crashed(rig, job, 6);
        delivery.redelivered = true;
        delivery.handedBack = 3;
        RunRig.Run run = rig.run(job, delivery);
        run.run.excuse(List.of(4, 5));

        assertThat(startIt(run).names()).endsWith("started 7", "chunk 7", "completed 7");
        assertThat(rig.quarantine.running()).isZero();
    }

    private static RunRig.Run startIt(RunRig.Run run) {
        return run.begin().join();
    }

    @Test
    void a_job_with_three_crashed_runs_runs_alone_and_others_wait_their_turn() {
        FakeNodes.Server server = server().up("llama");
        crashed(rig, job, 3);
        delivery.redelivered = true;
        RunRig.Run alone = rig.start(job, delivery);
        awaitCall(server);
        assertThat(rig.quarantine.running()).isEqualTo(1);

        TakenJob second = rig.job("llama");
        crashed(rig, second, 2);
        FakeDelivery waits = new FakeDelivery();
        waits.redelivered = true;
        RunRig.Run deferred = rig.start(second, waits).join();
        assertThat(waits.ends).containsExactly("deferred SHORT QUARANTINED 0 0");
        assertThat(deferred.names()).hasSize(2);

        server.calls().getFirst().answer("Hi");
        alone.join();
        assertThat(delivery.ends).containsExactly("acknowledged");
        assertThat(rig.quarantine.running()).isZero();
    }

    @Test
    void a_cancelled_job_ends_also_in_quarantine() {
        crashed(rig, job, 4);
        delivery.redelivered = true;
        rig.cancelled.add(job.job().id());

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).endsWith("started 4", "cancelled 5");
        assertThat(delivery.ends).containsExactly("acknowledged");
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

    @Test
    void a_run_that_breaks_before_its_started_is_counted_by_a_deferred_record() throws InterruptedException {
        RunRig.Run run = rig.run(job, delivery);
        for (int runs = 1; runs <= 4; runs++) {
            assertThat(run.run.broke()).isNull();
        }
        assertThat(delivery.ends)
                .containsExactly(
                        "broken SHORT QUARANTINED",
                        "broken SHORT QUARANTINED",
                        "broken MEDIUM QUARANTINED",
                        "broken MEDIUM QUARANTINED");

        assertThat(Objects.requireNonNull(run.run.broke()).code()).isEqualTo(JobFailure.Code.POISON);
    }

    @Test
    void a_run_that_breaks_after_its_started_or_after_it_was_stopped_is_not_counted() throws InterruptedException {
        answers();
        RunRig.Run started = rig.start(job, delivery).join();
        assertThat(started.run.broke()).isNull();
        assertThat(delivery.ends).containsExactly("acknowledged");

        FakeDelivery other = new FakeDelivery();
        RunRig.Run stopped = rig.run(rig.job("llama"), other);
        stopped.run.stop(StopSignal.Reason.SHUTDOWN);
        assertThat(stopped.run.broke()).isNull();
        assertThat(other.ends).isEmpty();
    }
}
