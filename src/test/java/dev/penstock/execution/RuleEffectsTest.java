package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.settings.Conditions;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Placing;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** What a routing rule changes in the execution of a job. */
class RuleEffectsTest {
    private static Rule rule(NodeSettings.OwnTimeouts timeouts, Rule.OwnRetries retries) {
        return new Rule(
                "it",
                Conditions.ANY,
                List.of(),
                Rule.Change.NOTHING,
                timeouts,
                retries,
                Placing.USUAL,
                Rule.Handling.NONE);
    }

    @Test
    void its_retries_replace_those_of_the_service() {
        Settings.Retries service = new Settings.Retries(3, Duration.ofMillis(200), Duration.ofSeconds(10));

        assertThat(Rule.OwnRetries.NONE.over(service)).isEqualTo(service);
        assertThat(new Rule.OwnRetries(OptionalInt.of(7), Optional.empty(), Optional.of(Duration.ofSeconds(1)))
                        .over(service))
                .isEqualTo(new Settings.Retries(7, Duration.ofMillis(200), Duration.ofSeconds(1)));
    }

    @Test
    void a_job_fails_after_the_attempts_of_its_rule_unless_it_sets_its_own() {
        Rule once = rule(
                NodeSettings.OwnTimeouts.NONE,
                new Rule.OwnRetries(OptionalInt.of(1), Optional.empty(), Optional.empty()));

        assertThat(attempts(once, null)).isEqualTo(1);
        assertThat(attempts(Rule.NONE, 1)).isEqualTo(1);
        assertThat(attempts(Rule.NONE, null)).as("the limit of the service").isEqualTo(2);
        assertThat(attempts(once, 2)).as("the job's own limit").isEqualTo(2);
    }

    private static int attempts(Rule rule, @Nullable Integer own) {
        ExecutionRig rig =
                new ExecutionRig(ExecutionRig.VLLM, ExecutionRig.OLLAMA, Map.of("retries.max-attempts", "2"));
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(ExecutionRig.BROKEN));
        rig.nodes.server("cpu-a").up("llama").onCall(call -> call.fail(ExecutionRig.BROKEN));
        PromptJob job = rig.job().attempts(own).model("llama");
        ExecutionRig.Run run = rig.start(new Work(job, rule, ExecutionRig.RECORD, Instant.EPOCH, 0, 0, 0, null));
        run.result();
        return run.execution.failures();
    }

    @Test
    void its_timeouts_replace_those_of_the_node() {
        ExecutionRig rig =
                new ExecutionRig(ExecutionRig.VLLM, Map.of("retries.max-attempts", "1", "timeouts.first-token", "1h"));
        rig.nodes.server("gpu-a").up("llama");
        Rule fast = rule(
                new NodeSettings.OwnTimeouts(
                        Optional.empty(), Optional.of(Duration.ofMillis(50)), Optional.empty(), Optional.empty()),
                Rule.OwnRetries.NONE);

        ExecutionRig.Run run = rig.start(new Work(
                rig.job().attempts(null).model("llama"), fast, ExecutionRig.RECORD, Instant.EPOCH, 0, 0, 0, null));
        rig.passUntil(run::isOver, () -> "it has not ended");

        assertThat(run.result())
                .isInstanceOfSatisfying(
                        Execution.Result.Concluded.class,
                        ended -> assertThat(((JobEvent.Failed) ended.outcome().event())
                                        .failure()
                                        .code())
                                .isEqualTo(JobFailure.Code.FIRST_TOKEN_TIMEOUT));
    }

    @Test
    void the_first_slot_of_a_jobs_life_counts_for_its_rule() {
        ExecutionRig rig = new ExecutionRig(
                ExecutionRig.VLLM, ExecutionRig.OLLAMA, Map.of("routes[0].name", "it", "routes[0].to", "gpu,cpu"));
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(ExecutionRig.BROKEN));
        rig.nodes.server("cpu-a").up("llama").onCall(call -> call.answer("Hi"));
        Rule it = rig.settings.routing().rules().getFirst();

        rig.start(new Work(rig.job().model("llama"), it, ExecutionRig.RECORD, null, 0, 0, 0, null))
                .result();
        rig.start(new Work(rig.job().model("llama"), it, ExecutionRig.RECORD, Instant.EPOCH, 1, 2, 0, null))
                .result();
        rig.start(new Work(rig.job().model("llama"), Rule.NONE, ExecutionRig.RECORD, null, 0, 0, 0, null))
                .result();

        assertThat(count(rig, "it", "gpu")).isEqualTo(1);
        assertThat(count(rig, "none", "gpu")).isEqualTo(1);
        assertThat(rig.meters.find("penstock.route").tag("pool", "cpu").counter())
                .isNull();
    }

    private static double count(ExecutionRig rig, String rule, String pool) {
        return rig.meters
                .get("penstock.route")
                .tags("rule", rule, "pool", pool)
                .counter()
                .count();
    }

    @Test
    void a_text_starts_over_if_a_default_of_the_service_makes_it_more_than_plain_text() {
        ExecutionRig rig = new ExecutionRig(
                ExecutionRig.VLLM, Map.of("parameters.response_format", "{\"type\": \"json_object\"}"));
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.answer("{}"));
        PublishedText published = new PublishedText(
                "{", new PublishedText.Place(3, 7), List.of(new PublishedText.Segment("z", "llama", 3, 1, 1)));

        ExecutionRig.Run run = rig.start(
                new Work(rig.job().model("llama"), Rule.NONE, ExecutionRig.RECORD, Instant.EPOCH, 3, 4, 0, published));

        assertThat(run.outcome().answer()).isNotNull();
        assertThat(run.sink.events().getFirst())
                .isInstanceOfSatisfying(
                        JobEvent.Started.class,
                        started -> assertThat(started.resumedFrom()).isNull());
    }
}
