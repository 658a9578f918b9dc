package dev.penstock.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.intake.Submissions;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.reply.TestWatches;
import dev.penstock.reply.Watch;
import dev.penstock.settings.Settings;
import dev.penstock.settings.TestSettings;
import dev.penstock.wire.JobDocument;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.utils.Bytes;
import org.junit.jupiter.api.Test;

class JobLinesTest {
    private static final Instant NOW = Instant.parse("2026-05-01T12:00:00Z");
    private static final Settings.JobTopic TOPIC = new Settings.JobTopic("prompt-jobs", Priority.NORMAL, "default", 1);

    private final List<String> tried = new ArrayList<>();

    @Test
    void a_broker_that_is_away_is_waited_for_once() {
        List<ObjectNode> answers = answers(fit -> fit.job().id().value().equals("line-0")
                ? CompletableFuture.completedFuture(written())
                : CompletableFuture.<RecordMetadata>failedFuture(new TimeoutException("no metadata"))
                        .whenComplete((_, _) -> {}));

        assertThat(tried).containsExactly("line-0", "line-1");
        assertThat(answers)
                .extracting(answer -> answer.path("id").asText())
                .containsExactly("line-0", "line-1", "line-2", "line-3");
        assertThat(answers.getFirst().path("status").asText()).isEqualTo("queued");
        assertThat(answers.subList(1, 4))
                .allSatisfy(
                        answer -> assertThat(answer.at("/error/code").asText()).isEqualTo("broker_unavailable"));
    }

    @Test
    void a_line_that_fails_for_its_own_sake_holds_up_no_other() {
        List<ObjectNode> answers = answers(fit -> fit.job().id().value().equals("line-1")
                ? CompletableFuture.failedFuture(new RecordTooLargeException("too large"))
                : CompletableFuture.completedFuture(written()));

        assertThat(tried).hasSize(4);
        assertThat(answers).filteredOn(answer -> answer.hasNonNull("error")).hasSize(1);
    }

    @Test
    void a_wait_whose_events_cannot_be_read_tells_what_is_known() throws InterruptedException {
        Submissions.Checked.Fit fit = fit("job");

        try (Watch watch = TestWatches.unreadable(new JobId("job"))) {
            assertThat(JobLookup.await(watch, JobLookup.accepted(fit, NOW), Duration.ofSeconds(60)))
                    .isEqualTo(JobLookup.accepted(fit, NOW));
        }
    }

    private List<ObjectNode> answers(Function<Submissions.Checked.Fit, CompletableFuture<RecordMetadata>> broker) {
        JobLines lines = new JobLines(Map.of(), fit -> {
            tried.add(fit.job().id().value());
            return broker.apply(fit);
        });
        return IntStream.range(0, 4).mapToObj(i -> lines.submit(fit("line-" + i))).toList().stream()
                .map(Supplier::get)
                .toList();
    }

    private static RecordMetadata written() {
        return new RecordMetadata(new TopicPartition("prompt-jobs", 0), 0, 0, NOW.toEpochMilli(), 0, 0);
    }

    private static Submissions.Checked.Fit fit(String id) {
        byte[] document =
                "{\"prompt\":\"hello\",\"job\":{\"id\":\"%s\"}}".formatted(id).getBytes(StandardCharsets.UTF_8);
        PromptJob job = switch (JobDocument.parse(
                document,
                new JobDocument.Arrival(null, new JobId("derived"), NOW),
                TestSettings.defaults().defaults(TOPIC))) {
            case JobDocument.Parsed.Valid(PromptJob valid) -> valid;
            case JobDocument.Parsed.Refused refused ->
                throw new IllegalStateException(refused.failure().message());
        };
        return new Submissions.Checked.Fit(job, Bytes.wrap(document), true, TOPIC);
    }
}
