package dev.penstock.reply;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.testkit.PlayedClock;
import dev.penstock.testkit.PlayedProducer;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.common.errors.TimeoutException;
import org.junit.jupiter.api.Test;

class UsageTopicTest {
    private static final PromptJob JOB = new PromptJob(
            new JobId("call-1"),
            Task.CHAT,
            "fast",
            true,
            Map.of("secret", "metadata"),
            Priority.HIGH,
            "acme",
            Instant.EPOCH,
            Duration.ofMinutes(1),
            null,
            PromptJob.Pins.NONE,
            null,
            null,
            null,
            null,
            Map.of("messages", List.of(Map.of("role", "user", "content", "a secret prompt"))));
    private static final JobEvent.Execution EXECUTION =
            new JobEvent.Execution("gpu-a", "vllm", "llama", 12, 80L, 910, 1, List.of(), List.of(), null, 0);

    private final MockProducer<byte[], byte[]> producer = PlayedProducer.of("penstock-usage", 4);
    private final AtomicBoolean away = new AtomicBoolean();
    private final UsageTopic topic =
            new UsageTopic("penstock-usage", producer, away::get, PlayedClock.of(() -> Instant.EPOCH.plusSeconds(1)));

    private final WireSchemas schemas = new WireSchemas();

    private String written() {
        return new String(producer.history().getLast().value(), StandardCharsets.UTF_8);
    }

    @Test
    void a_call_leaves_its_counts_under_its_tenant_and_no_text() {
        Answer.Builder answer = new Answer.Builder();
        answer.add(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, "a secret answer"));
        answer.add(new TokenEvent.Spent(new Usage(9, 2)));

        topic.ended(
                JOB,
                new JobEvent.Completed(
                        answer.build(new Answer.Head("x", 0, "llama", Task.CHAT)), false, EXECUTION, JOB.metadata()));

        assertThat(new String(producer.history().getLast().key(), StandardCharsets.UTF_8))
                .isEqualTo("acme");
        assertThat(written()).doesNotContain("secret");
        schemas.check("usage.schema.json", written());
        assertThat(Json.parseLenient(written())).isEqualTo(Json.parseLenient("""
                        {"id":"call-1","at":"1970-01-01T00:00:01Z","tenant":"acme","task":"chat","priority":"high",
                        "stream":true,"outcome":"completed","node":"gpu-a","backend":"vllm","model":"llama",
                        "queued_ms":12,"first_token_ms":80,"total_ms":910,"attempts":1,
                        "usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"""));
    }

    @Test
    void a_failed_call_leaves_the_code_of_its_failure() {
        topic.ended(
                JOB,
                new JobEvent.Failed(
                        JobFailure.of(JobFailure.Code.MODEL_NOT_FOUND, "a secret model"), null, JOB.metadata()));

        assertThat(Json.parseLenient(written())).isEqualTo(Json.parseLenient("""
                        {"id":"call-1","at":"1970-01-01T00:00:01Z","tenant":"acme","task":"chat","priority":"high",
                        "stream":true,"outcome":"failed","code":"model_not_found"}"""));
        schemas.check("usage.schema.json", written());
    }

    @Test
    void while_kafka_is_away_nothing_is_written_and_nothing_fails() {
        JobEvent outcome = new JobEvent.Cancelled(EXECUTION, Map.of());
        away.set(true);
        topic.ended(JOB, outcome);
        assertThat(producer.history()).isEmpty();

        away.set(false);
        producer.sendException = new TimeoutException("no metadata");
        topic.ended(JOB, outcome);
        producer.sendException = null;
        topic.ended(JOB, outcome);

        assertThat(producer.history()).hasSize(1);
        assertThat(written()).contains("\"outcome\":\"cancelled\"");
    }
}
