package dev.penstock.dispatch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Task;
import dev.penstock.job.Waiting;
import dev.penstock.ledger.row.Submissions;
import dev.penstock.node.Node;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.schedule.Admission;
import dev.penstock.schedule.Avoid;
import dev.penstock.schedule.QueueEntry;
import dev.penstock.schedule.Routes;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.wire.record.Pauses;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Why a job waits, by the known state of the nodes. */
class WaitsTest {
    private static final Instant CAME = Instant.EPOCH;
    private static final RouteKey LLAMA = key("llama");

    @Test
    void no_node_at_all() {
        Waits waits = waits(new RunRig(Map.of()));

        assertThat(waits.of(new Waits.Subject(null, "default", LLAMA), CAME).code())
                .isEqualTo(Waiting.Code.NO_NODE);
        assertThat(waits.of(new Waits.Subject(null, "default", LLAMA), CAME).message())
                .contains("no node is configured", "penstock.nodes");
        assertThat(waits.noNode()).isPresent();
    }

    @Test
    void the_only_node_was_never_up() {
        RunRig rig = new RunRig(TestSettings.node("gpu-a", "vllm", 1));
        Waits waits = waits(rig);
        rig.nodes.server("gpu-a").down();

        Waiting waiting = waits.of(new Waits.Subject(null, "default", LLAMA), CAME);

        assertThat(waiting.code()).isEqualTo(Waiting.Code.NODE_DOWN);
        assertThat(waiting.message()).isEqualTo("no node has been up so far. gpu-a has not been reached: gone");
        rig.pass(Duration.ofHours(1));
        rig.nodes.server("gpu-a").loading();
        assertThat(waits.of(new Waits.Subject(null, "default", LLAMA), CAME).code())
                .isEqualTo(Waiting.Code.NODE_LOADING);
        rig.nodes.server("gpu-a").down();
        assertThat(waits.of(new Waits.Subject(null, "default", LLAMA), CAME).code())
                .as("jobs wait for it")
                .isEqualTo(Waiting.Code.NODE_DOWN);
        assertThat(waits.mayGoOn(LLAMA)).isFalse();
    }

    @Test
    void a_node_is_down_full_or_loading() {
        RunRig rig = new RunRig(TestSettings.node("gpu-a", "vllm", 1));
        Waits waits = waits(rig);
        rig.nodes.server("gpu-a").up("llama");
        assertThat(waits.of(new Waits.Subject(null, "default", LLAMA), CAME))
                .isEqualTo(new Waiting(Waiting.Code.SLOT, "it waits for its turn; node gpu-a has a free slot", CAME));

        Node node = rig.nodes.find("gpu-a").orElseThrow();
        try (Node.Slot _ = Objects.requireNonNull(node.tryAcquire(0, false))) {
            assertThat(waits.of(new Waits.Subject(null, "default", LLAMA), CAME))
                    .isEqualTo(new Waiting(Waiting.Code.SLOT, "no slot is free: gpu-a has 1 of 1 in use", CAME));
        }

        rig.pass(Duration.ofSeconds(1));
        rig.nodes.server("gpu-a").down();
        Waiting down = waits.of(new Waits.Subject(null, "default", LLAMA), CAME);
        assertThat(down.code()).isEqualTo(Waiting.Code.NODE_DOWN);
        assertThat(down.since()).isEqualTo(node.health().since());
        assertThat(down.message()).isEqualTo("gpu-a is down since %s: gone".formatted(down.since()));
        assertThat(waits.mayGoOn(LLAMA)).isFalse();

        rig.nodes.server("gpu-a").loading();
        assertThat(waits.of(new Waits.Subject(null, "default", LLAMA), CAME).code())
                .isEqualTo(Waiting.Code.NODE_LOADING);
        rig.nodes.server("gpu-a").up("llama");
        assertThat(waits.mayGoOn(LLAMA)).isTrue();
    }

    @Test
    void a_node_is_paused() {
        RunRig rig = new RunRig(
                RunRig.keys(TestSettings.node("gpu-a", "vllm", 1), TestSettings.node("gpu-b", "vllm", 1), Map.of()));
        Waits waits = waits(rig);
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").up("llama");
        rig.pass(Duration.ofSeconds(1));
        Instant since = rig.clock.instant();
        Pauses.Pause pause = new Pauses.Pause(Pauses.Kind.NODE, "gpu-a", since);

        rig.nodes.paused(pause);
        assertThat(waits.of(new Waits.Subject(null, "default", LLAMA), CAME).code())
                .as("gpu-b takes jobs")
                .isEqualTo(Waiting.Code.SLOT);
        assertThat(waits.mayGoOn(LLAMA)).isTrue();

        rig.nodes.server("gpu-b").down();
        Waiting waiting = waits.of(new Waits.Subject(null, "default", LLAMA), CAME);
        assertThat(waiting.code()).isEqualTo(Waiting.Code.PAUSED);
        assertThat(waiting.message()).contains("node gpu-a is paused since " + since, "gpu-b is down since");
        assertThat(waiting.since()).isEqualTo(since);
        assertThat(waits.mayGoOn(LLAMA)).isFalse();

        rig.nodes.server("gpu-b").loading();
        assertThat(waits.of(new Waits.Subject(null, "default", LLAMA), CAME).code())
                .isEqualTo(Waiting.Code.NODE_LOADING);
        rig.nodes.paused();
        assertThat(waits.of(new Waits.Subject(null, "default", LLAMA), CAME).code())
                .isEqualTo(Waiting.Code.SLOT);
    }

    @Test
    void a_job_of_a_paused_topic_waits_for_it_whatever_its_nodes_do() throws Exception {
        RunRig rig = new RunRig(TestSettings.node("gpu-a", "vllm", 1));
        rig.nodes.server("gpu-a").up("llama");
        TakenJob taken = submitted(rig);
        Pauses.Pause pause = new Pauses.Pause(
                Pauses.Kind.TOPIC, taken.place().topic(), rig.clock.instant().plusSeconds(1));
        rig.nodes.paused(pause);

        Waiting waiting = ofJob(rig, taken).orElseThrow();
        assertThat(waiting.code()).isEqualTo(Waiting.Code.PAUSED);
        assertThat(waiting.message())
                .contains(
                        "is paused since",
                        "penstock resume topic " + taken.place().topic());
        assertThat(waiting.since()).isEqualTo(pause.since());
        Waits.Subject subject = new Waits.Subject(taken.place().topic(), "default", LLAMA);
        assertThat(waits(rig).mayGoOn(Waiting.Code.PAUSED, subject)).isFalse();

        RecordStamp deferred = new RecordStamp(1, new RecordPlace("prompt-jobs-deferred", 1, 0));
        rig.ledger.deferred(
                taken.job().id(),
                new Submissions.DeferredRecord(deferred, taken.place(), 0, 5_000, Waiting.Code.PAUSED));
        assertThat(ofJob(rig, taken).orElseThrow().code()).isEqualTo(Waiting.Code.PAUSED);
        assertThat(ofJob(rig, taken).orElseThrow().message()).contains("1970-01-01T00:00:05Z");

        rig.nodes.paused();

        assertThat(ofJob(rig, taken).orElseThrow().code()).isEqualTo(Waiting.Code.DEFERRED);
        assertThat(waits(rig).mayGoOn(Waiting.Code.PAUSED, subject)).isTrue();
        rig.nodes.paused(pause);
        rig.otherStarts(taken, 1, "a");
        rig.pass(Duration.ofSeconds(5));
        assertThat(ofJob(rig, taken)).as("it runs").isEmpty();
    }

    @Test
    void a_node_that_hung_its_last_job_is_the_reason() {
        RunRig rig = new RunRig(TestSettings.node("gpu-a", "vllm", 4));
        Waits waits = waits(rig);
        rig.nodes.server("gpu-a").up("llama");
        try (Node.Slot slot =
                Objects.requireNonNull(rig.nodes.find("gpu-a").orElseThrow().tryAcquire(0, false))) {
            slot.failed(JobFailure.of(JobFailure.Code.FIRST_TOKEN_TIMEOUT, "silent"));
        }

        assertThat(waits.of(new Waits.Subject(null, "default", LLAMA), CAME))
                .isEqualTo(new Waiting(
                        Waiting.Code.SLOT,
                        "no slot is free: gpu-a failed its last jobs, and one job at a time tries it",
                        CAME));
    }

    @Test
    void a_model_that_no_node_lists_waits_for_a_node_that_was_never_reached_and_then_fails() {
        RunRig rig = new RunRig(RunRig.keys(
                TestSettings.node("gpu-a", "vllm", 1),
                TestSettings.node("gpu-b", "vllm", 1),
                Map.of("nodes.unknown-for", "5m")));
        Waits waits = waits(rig);
        rig.nodes.server("gpu-a").up("llama");
        rig.nodes.server("gpu-b").down();

        Waiting waiting = waits.of(new Waits.Subject(null, "default", key("mistral")), CAME);
        assertThat(waiting.code()).isEqualTo(Waiting.Code.MODEL_UNKNOWN);
        assertThat(waiting.message())
                .startsWith(
                        "no node that has been reached lists model 'mistral'. gpu-b has not been reached: gone. From ")
                .endsWith(" on the job fails (penstock.nodes.unknown-for)");
        assertThat(waits.mayGoOn(key("mistral"))).isFalse();

        rig.pass(Duration.ofMinutes(5));
        // a version of its own, like that of the nodes' timer
        rig.nodes.server("gpu-a").down();
        Routes routes = new Routes(rig.settings, rig.nodes);
        assertThat(routes.of(key("mistral")).toString())
                .contains("MODEL_NOT_FOUND", "model 'mistral' is on no node", "Never reached: gpu-b (gone)");
        assertThat(waits.mayGoOn(key("mistral"))).as("it fails at once").isTrue();
        assertThat(routes.of(LLAMA)).as("known from before").isInstanceOf(dev.penstock.route.Router.Route.To.class);
    }

    @Test
    void the_key_beside_the_nodes_is_none_of_them() {
        RunRig rig = new RunRig(RunRig.keys(TestSettings.node("gpu-a", "vllm", 1), Map.of("nodes.unknown-for", "90s")));

        assertThat(rig.settings.nodes()).extracting(node -> node.name()).containsExactly("gpu-a");
        assertThat(rig.settings.unknownFor()).isEqualTo(Duration.ofSeconds(90));
        assertThat(new RunRig(Map.of()).settings.unknownFor()).isEqualTo(Duration.ofMinutes(5));
    }

    @Test
    void a_job_that_no_node_can_serve_fails_when_a_replica_takes_it() {
        RunRig rig = new RunRig(TestSettings.node("gpu-a", "vllm", 1));
        rig.nodes.server("gpu-a").up("llama");
        Waits waits = waits(rig);
        RouteKey pinned = new RouteKey("llama", Task.CHAT, new PromptJob.Pins(null, "gpu-z"));

        assertThat(waits.of(new Waits.Subject(null, "default", pinned), CAME).code())
                .isEqualTo(Waiting.Code.NO_NODE);
        assertThat(waits.of(new Waits.Subject(null, "default", pinned), CAME).message())
                .contains("gpu-z", "The job fails when a replica takes it");
        assertThat(waits.mayGoOn(pinned)).isTrue();
    }

    /** The one job of a rig, as the ledger has it. */
    private static Optional<Waiting> ofJob(RunRig rig, TakenJob taken) throws Exception {
        return waits(rig).of(rig.ledger.lookUp(taken.job().id()).row().orElseThrow());
    }

    private static TakenJob submitted(RunRig rig) {
        TakenJob taken = rig.job("llama");
        rig.ledger.answersAfter(0);
        rig.ledger.submitted(taken.job(), taken.stamp(), taken.bodyHash());
        return taken;
    }

    @Test
    void a_queued_job_waits_and_one_that_runs_or_is_over_does_not() throws Exception {
        RunRig rig = new RunRig(TestSettings.node("gpu-a", "vllm", 1));
        rig.nodes.server("gpu-a").up("llama");
        TakenJob taken = submitted(rig);
        assertThat(ofJob(rig, taken))
                .contains(new Waiting(Waiting.Code.SLOT, "it waits for its turn; node gpu-a has a free slot", CAME));

        rig.otherStarts(taken, 1, "a");
        assertThat(ofJob(rig, taken)).isEmpty();
        rig.otherEnds(taken, 1, "a");
        assertThat(ofJob(rig, taken)).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(names = {"QUARANTINED", "DUPLICATE", "NODE_DOWN", "SLOT", "DEFERRED"})
    void a_deferred_job_reports_why_and_until_when(Waiting.Code why) throws Exception {
        RunRig rig = new RunRig(TestSettings.node("gpu-a", "vllm", 1));
        rig.nodes.server("gpu-a").up("llama").down();
        TakenJob taken = submitted(rig);
        RecordStamp deferred = new RecordStamp(1, new RecordPlace("prompt-jobs-deferred", 1, 0));
        rig.ledger.deferred(taken.job().id(), new Submissions.DeferredRecord(deferred, taken.place(), 0, 5_000, why));

        Waiting waiting = ofJob(rig, taken).orElseThrow();

        assertThat(waiting.code()).isEqualTo(why == Waiting.Code.SLOT ? Waiting.Code.DEFERRED : why);
        assertThat(waiting.message()).contains("1970-01-01T00:00:05Z");
        rig.pass(Duration.ofSeconds(5));
        assertThat(ofJob(rig, taken).orElseThrow().code()).as("it is due").isEqualTo(Waiting.Code.NODE_DOWN);
    }

    @Test
    void a_job_that_was_deferred_for_its_node_comes_back_when_the_node_is_up() throws Exception {
        RunRig rig = new RunRig(TestSettings.node("gpu-a", "vllm", 1));
        rig.nodes.server("gpu-a").up("llama");
        TakenJob taken = submitted(rig);
        RecordStamp deferred = new RecordStamp(1, new RecordPlace("prompt-jobs-deferred", 1, 0));
        rig.ledger.deferred(
                taken.job().id(),
                new Submissions.DeferredRecord(deferred, taken.place(), 0, 5_000, Waiting.Code.NODE_DOWN));

        Waiting waiting = ofJob(rig, taken).orElseThrow();

        assertThat(waiting.code()).isEqualTo(Waiting.Code.DEFERRED);
        assertThat(waiting.message()).contains("a node takes jobs again");
    }

    @Test
    void a_job_whose_tenant_is_at_its_limit_waits_for_that() throws Exception {
        RunRig rig = new RunRig(
                RunRig.keys(TestSettings.node("gpu-a", "vllm", 2), Map.of("tenants.default.max-in-flight", "1")));
        rig.nodes.server("gpu-a").up("llama");
        TakenJob taken = submitted(rig);
        assertThat(ofJob(rig, taken).orElseThrow().code()).isEqualTo(Waiting.Code.SLOT);

        try (QueueEntry first =
                rig.scheduler.enter(LLAMA, Demand.ofChars(0), Priority.NORMAL, "default", "prompt-jobs", false, null)) {
            assertThat(first.await(Avoid.NOTHING, Duration.ofMinutes(1))).isInstanceOf(Admission.Granted.class);
            String limit =
                    "tenant 'default' has reached its max-in-flight: 1 of 1 jobs in flight; a job may start when one of them ends";
            assertThat(ofJob(rig, taken)).contains(new Waiting(Waiting.Code.TENANT_LIMIT, limit, CAME));
            assertThat(waits(rig)
                            .of(new Waits.Subject(null, "other", LLAMA), CAME)
                            .code())
                    .isEqualTo(Waiting.Code.SLOT);

            RecordStamp deferred = new RecordStamp(1, new RecordPlace("prompt-jobs-deferred", 1, 0));
            rig.ledger.deferred(
                    taken.job().id(),
                    new Submissions.DeferredRecord(deferred, taken.place(), 0, 5_000, Waiting.Code.TENANT_LIMIT));
            assertThat(ofJob(rig, taken).orElseThrow().code()).isEqualTo(Waiting.Code.TENANT_LIMIT);
            assertThat(ofJob(rig, taken).orElseThrow().message())
                    .isEqualTo(
                            "its tenant had reached a limit, and it made room for other jobs; it comes back at 1970-01-01T00:00:05Z; "
                                    + limit);
            rig.nodes.server("gpu-a").down();
            assertThat(waits(rig)
                            .of(new Waits.Subject(null, "default", LLAMA), CAME)
                            .code())
                    .isEqualTo(Waiting.Code.NODE_DOWN);
        }
    }

    private static RouteKey key(String model) {
        return new RouteKey(model, Task.CHAT, PromptJob.Pins.NONE);
    }

    private static Waits waits(RunRig rig) {
        return new Waits(rig.settings, rig.nodes, rig.scheduler, rig.clock);
    }
}
