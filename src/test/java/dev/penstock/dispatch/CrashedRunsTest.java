package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.execution.StopSignal;
import dev.penstock.job.JobFailure;
import dev.penstock.node.FakeNodes;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a run does with a job whose earlier runs crashed or broke: it counts them, runs the job apart, and gives it up. */
@Timeout(60)
class CrashedRunsTest {
    private final RunRig rig = new RunRig(RunRig.VLLM);
    private final TakenJob job = rig.job("llama");
    private final FakeDelivery delivery = new FakeDelivery();

    private void crashed(RunRig rig, TakenJob taken, int runs) {
        for (int attempt = 1; attempt <= runs; attempt++) {
            rig.otherStarts(taken, attempt, "crashed-" + attempt);
        }
    }

    @Test
    void a_job_with_four_crashed_runs_is_poison() {
        rig.answers();
        crashed(rig, job, 4);
        delivery.redelivered = true;

        RunRig.Run run = rig.start(job, delivery).join();

        assertThat(run.names()).endsWith("started 4", "failed 5");
        assertThat(run.last().at("/error/code").asText()).isEqualTo("poison");
        assertThat(run.last().at("/error/message").asText())
                .startsWith("4 runs of the job ended together with the process that ran it.");
        assertThat(delivery.ends).containsExactly("dead letter POISON 4", "acknowledged");
        assertThat(rig.server().calls()).isEmpty();
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
        rig.answers();
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
        FakeNodes.Server server = rig.server().up("llama");
        crashed(rig, job, 3);
        delivery.redelivered = true;
        RunRig.Run alone = rig.start(job, delivery);
        RunRig.awaitCall(server);
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
        rig.answers();
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
