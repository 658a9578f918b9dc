package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Waiting;
import dev.penstock.node.FakeNodes;
import dev.penstock.reply.PlayedRecovery;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import java.time.Clock;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The runs of a replica beside each other: records that come twice, lost records, the drain, why jobs wait. */
@Timeout(60)
class DispatcherTest {
    private final RunRig rig =
            new RunRig(RunRig.keys(TestSettings.node("gpu-a", "vllm", 64), TestSettings.node("gpu-b", "vllm", 1)));
    private final FakeNodes.Server server = rig.nodes.server("gpu-a");
    private final Dispatcher dispatcher = TestDispatchers.of(
            rig.settings, rig.nodes, rig.replies, PlayedRecovery.of(rig.replies, rig.producer), Clock.systemUTC());
    private final FakeDelivery delivery = new FakeDelivery();
    private final TakenJob job = rig.job("llama");

    private CompletableFuture<Optional<JobFailure>> start(TakenJob taken, FakeDelivery of) {
        CompletableFuture<Optional<JobFailure>> result = new CompletableFuture<>();
        Thread.ofVirtual().start(() -> {
            try {
                result.complete(dispatcher.run(taken, of));
            } catch (InterruptedException | RuntimeException | Error e) {
                result.completeExceptionally(e);
            }
        });
        return result;
    }

    private void awaitCalls(int count) {
        Conditions.await(
                () -> server.calls().size() == count, () -> server.calls().size() + " requests");
    }

    private void awaitParked(int count) {
        Conditions.await(() -> dispatcher.parked() == count, () -> dispatcher.parked() + " jobs wait");
    }

    @Test
    void a_job_is_in_flight_until_its_run_ends() throws Exception {
        server.up("llama");
        CompletableFuture<Optional<JobFailure>> run = start(job, delivery);
        awaitCalls(1);
        assertThat(dispatcher.size()).isEqualTo(1);
        assertThat(dispatcher.parked()).isZero();
        assertThat(dispatcher.isOpen()).isTrue();
        assertThat(dispatcher.quarantine()).isZero();

        server.calls().getFirst().answer("Hi");

        assertThat(run.get()).isEmpty();
        assertThat(dispatcher.size()).isZero();
        assertThat(delivery.ends).containsExactly("acknowledged");
        assertThat(rig.names(job.job().id())).containsExactly("started 1", "chunk 1", "completed 1");
    }

    @Test
    void a_record_that_is_gone_is_not_run() throws Exception {
        server.up("llama");
        delivery.held = false;

        assertThat(dispatcher.run(job, delivery)).isEmpty();
        assertThat(delivery.ends).isEmpty();
        assertThat(server.calls()).isEmpty();
    }

    @Test
    void a_record_that_comes_again_ends_its_run_here_first_and_that_run_is_no_crash() throws Exception {
        server.up("llama");
        CompletableFuture<Optional<JobFailure>> lost = start(job, delivery);
        awaitCalls(1);

        FakeDelivery second = new FakeDelivery();
        second.redelivered = true;
        CompletableFuture<Optional<JobFailure>> again = start(job, second);
        lost.get();
        awaitCalls(2);
        server.calls().getLast().answer("Hi");
        again.get();

        assertThat(delivery.ends).isEmpty();
        assertThat(second.ends).containsExactly("acknowledged");
        assertThat(rig.names(job.job().id())).containsExactly("started 1", "started 2", "chunk 2", "completed 2");
    }

    @Test
    void many_runs_that_lost_their_record_here_do_not_make_a_job_poison() throws Exception {
        server.up("llama");
        CompletableFuture<Optional<JobFailure>> last = start(job, delivery);
        for (int runs = 2; runs <= 6; runs++) {
            awaitCalls(runs - 1);
            FakeDelivery next = new FakeDelivery();
            next.redelivered = true;
            last = start(job, next);
        }
        awaitCalls(6);
        server.calls().getLast().answer("Hi");
        last.get();

        assertThat(rig.names(job.job().id())).endsWith("started 6", "chunk 6", "completed 6");
    }

    @Test
    void a_lost_record_stops_its_run_and_no_other() throws Exception {
        server.up("llama");
        CompletableFuture<Optional<JobFailure>> run = start(job, delivery);
        awaitCalls(1);

        dispatcher.lost(job.place(), new RecordPlace("prompt-jobs-deferred", 0, 1));
        dispatcher.lost(new RecordPlace("other", 0, 1), new RecordPlace("other", 0, 1));
        assertThat(dispatcher.size()).isEqualTo(1);
        dispatcher.lost(job.place(), job.place());

        assertThat(run.get()).isEmpty();
        assertThat(delivery.ends).isEmpty();
    }

    @Test
    void a_record_that_goes_to_another_replica_is_handed_back() throws Exception {
        server.up("llama");
        CompletableFuture<Optional<JobFailure>> run = start(job, delivery);
        awaitCalls(1);

        dispatcher.leave(job.place(), job.place());

        run.get();
        assertThat(delivery.ends).containsExactly("handed back 1");
    }

    @Test
    void the_larger_of_two_records_of_one_id_waits_for_the_smaller() throws Exception {
        server.up("llama");
        TakenJob first = rig.named("llama", 100);
        TakenJob second = rig.named("llama", 101);
        CompletableFuture<Optional<JobFailure>> runs = start(first, delivery);
        awaitCalls(1);

        FakeDelivery waits = new FakeDelivery();
        dispatcher.run(second, waits);
        assertThat(waits.ends).containsExactly("deferred SHORT DUPLICATE 0 0");

        server.calls().getFirst().answer("Hi");
        runs.get();
        FakeDelivery later = new FakeDelivery();
        later.redelivered = true;
        dispatcher.run(second, later);
        assertThat(later.ends).containsExactly("acknowledged");
        assertThat(server.calls()).hasSize(1);
    }

    @Test
    void a_drain_hands_back_jobs_that_wait_and_lets_the_others_end() throws Exception {
        server.up("llama");
        CompletableFuture<Optional<JobFailure>> runs = start(job, delivery);
        awaitCalls(1);
        FakeDelivery waiting = new FakeDelivery();
        CompletableFuture<Optional<JobFailure>> waits = start(rig.job("unknown"), waiting);
        awaitParked(1);

        CompletableFuture<Void> drained = drain(Duration.ofMinutes(1));
        waits.get();
        assertThat(waiting.ends).containsExactly("handed back 0");
        FakeDelivery late = new FakeDelivery();
        dispatcher.run(rig.job("llama"), late);
        assertThat(late.ends).as("it began in the drain").containsExactly("handed back 0");
        assertThat(drained).isNotDone();

        server.calls().getFirst().answer("Hi");
        runs.get();
        drained.get();
        assertThat(delivery.ends).containsExactly("acknowledged");
    }

    @Test
    void a_job_that_outlasts_the_drain_is_handed_back() throws Exception {
        server.up("llama");
        CompletableFuture<Optional<JobFailure>> runs = start(job, delivery);
        awaitCalls(1);

        drain(Duration.ofMillis(1)).get();

        runs.get();
        assertThat(delivery.ends).containsExactly("handed back 1");
        assertThat(rig.names(job.job().id())).containsExactly("started 1");
    }

    private CompletableFuture<Void> drain(Duration atMost) {
        CompletableFuture<Void> drained = new CompletableFuture<>();
        Thread.ofVirtual().start(() -> {
            try {
                dispatcher.drain(atMost);
                drained.complete(null);
            } catch (InterruptedException e) {
                drained.completeExceptionally(e);
            }
        });
        return drained;
    }

    @Test
    void jobs_that_wait_are_reported_with_their_reason_also_deferred_ones() throws Exception {
        server.up("llama").down();
        CompletableFuture<Optional<JobFailure>> waits = start(job, delivery);
        awaitParked(1);
        assertThat(dispatcher.waits()).containsOnlyKeys(Waiting.Code.NODE_DOWN);
        assertThat(dispatcher.waits().get(Waiting.Code.NODE_DOWN))
                .satisfies(jobs -> assertThat(jobs.words()).startsWith("1 job, such as job-0: gpu-a is down since "));
        assertThat(dispatcher.nodesDown()).containsKey("gpu-a");

        rig.nodes.server("gpu-b").up("other");
        waits.get();
        assertThat(delivery.ends).containsExactly("deferred SHORT NODE_DOWN 0 0");
        assertThat(dispatcher.size()).isZero();
        assertThat(dispatcher.waits()).containsOnlyKeys(Waiting.Code.NODE_DOWN);
        dispatcher.logWaits();

        server.up("llama");
        assertThat(dispatcher.waits()).as("it comes back now").isEmpty();
    }

    @Test
    void an_unexpected_exception_ends_the_run_and_counts_before_its_started() throws Exception {
        server.up("llama");
        rig.producer.sendException = new IllegalStateException("of the test");

        assertThat(dispatcher.run(job, delivery)).isEmpty();
        assertThat(delivery.ends).containsExactly("broken SHORT QUARANTINED");
        assertThat(dispatcher.size()).isZero();
    }

    @Test
    void runs_are_known_by_their_records_and_cancelled_by_the_id_of_their_job() {
        RunsInFlight runs = new RunsInFlight();
        RunRig.Run run = rig.run(rig.named("llama", 100), delivery);
        try (RunsInFlight.Entry _ = runs.enter(run.run)) {
            assertThat(runs.hasSmaller(rig.named("llama", 101))).isTrue();
            assertThat(runs.hasSmaller(rig.named("llama", 99))).isFalse();
            runs.cancel(rig.job("llama").job().id());
            runs.cancel(rig.named("llama", 101).job().id());
        }
        assertThat(runs.size()).isZero();
        assertThat(runs.hasSmaller(rig.named("llama", 101))).isFalse();

        run.begin().join();
        assertThat(run.names()).as("it was cancelled").containsExactly("cancelled 0");
    }

    @Test
    void the_intake_may_report_that_memory_is_short() throws ExecutionException, InterruptedException {
        dispatcher.crowdedWhile(() -> true);
        server.up("llama").onCall(call -> call.answer("Hi"));

        assertThat(start(job, delivery).get()).isEmpty();
        assertThat(delivery.ends).containsExactly("acknowledged");
    }
}
