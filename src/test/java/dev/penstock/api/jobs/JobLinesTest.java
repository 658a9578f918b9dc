package dev.penstock.api.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.call.ApiException;
import dev.penstock.intake.SubmissionProducer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.reply.TestWatches;
import dev.penstock.reply.Watch;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.wire.document.JobDocument;
import dev.penstock.wire.document.JobObject;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
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
    void a_broker_that_is_away_is_waited_for_once() throws InterruptedException {
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
    void a_line_that_fails_for_its_own_sake_holds_up_no_other() throws InterruptedException {
        List<ObjectNode> answers = answers(fit -> fit.job().id().value().equals("line-1")
                ? CompletableFuture.failedFuture(new RecordTooLargeException("too large"))
                : CompletableFuture.completedFuture(written()));

        assertThat(tried).hasSize(4);
        assertThat(answers).filteredOn(answer -> answer.hasNonNull("error")).hasSize(1);
    }

    @Test
    void a_wait_whose_events_cannot_be_read_tells_what_is_known() throws InterruptedException {
        SubmissionProducer.Checked.Fit fit = fit("job", "hello");

        try (Watch watch = TestWatches.unreadable(new JobId("job"))) {
            assertThat(JobLookup.await(watch, JobLookup.accepted(fit, NOW), Duration.ofSeconds(60), _ -> true))
                    .isEqualTo(JobLookup.accepted(fit, NOW));
        }
    }

    @Test
    void two_bodies_under_one_id_conflict_and_the_same_body_is_the_same_job() throws InterruptedException {
        List<ObjectNode> answers = answers(
                _ -> CompletableFuture.completedFuture(written()),
                fit("a", "hello"),
                fit("a", "other"),
                fit("a", "hello"),
                fit("b", "other"));

        assertThat(tried).containsExactly("a", "b");
        assertThat(answers).extracting(answer -> answer.path("id").asText()).containsExactly("a", "a", "a", "b");
        assertThat(answers.get(1).at("/error/code").asText()).isEqualTo("id_conflict");
        assertThat(answers.get(1).at("/error/message").asText())
                .isEqualTo("line 2: job 'a' is on line 1 with another body: another job needs another id");
        assertThat(answers.get(2)).isEqualTo(answers.get(0));
    }

    @Test
    void a_mistake_names_its_line() throws InterruptedException {
        JobFailure malformed =
                JobFailure.of(JobFailure.Code.INVALID_REQUEST, "not valid JSON: unexpected '\"' (line 1, column 12)");
        ObjectNode answer = new JobLines(new Broker(_ -> CompletableFuture.completedFuture(written())))
                .submit(4, new SubmissionProducer.Checked.Unfit(malformed))
                .await();

        assertThat(answer.path("line").asInt()).isEqualTo(4);
        assertThat(answer.at("/error/message").asText())
                .isEqualTo("line 4: not valid JSON: unexpected '\"' (column 12)");
    }

    @Test
    void a_line_is_answered_with_the_outcome_that_was_waited_for() throws InterruptedException {
        JobLines lines = new JobLines(new Broker(_ -> CompletableFuture.completedFuture(written())) {
            @Override
            public JobLines.Written write(SubmissionProducer.Checked.Fit fit) {
                return new JobLines.Written(super.write(fit).record(), row -> {
                    throw new ApiException(JobFailure.of(JobFailure.Code.TOO_LARGE, "the record was refused"));
                });
            }
        });

        ObjectNode answer = lines.submit(1, fit("a", "hello")).await();

        assertThat(answer.at("/error/code").asText()).isEqualTo("too_large");
        assertThat(answer.path("id").asText()).isEqualTo("a");
    }

    @Test
    void what_is_settled_holds_the_broker_s_word_and_waits_for_the_outcome_later() throws InterruptedException {
        AtomicInteger waited = new AtomicInteger();
        JobLines lines = new JobLines(new Broker(_ -> CompletableFuture.completedFuture(written())) {
            @Override
            public JobLines.Written write(SubmissionProducer.Checked.Fit fit) {
                return new JobLines.Written(super.write(fit).record(), row -> {
                    waited.incrementAndGet();
                    return row;
                });
            }
        });

        JobLines.Answer settled = lines.submit(1, fit("a", "hello")).settled();

        assertThat(waited).hasValue(0);
        assertThat(settled.await().path("id").asText()).isEqualTo("a");
        assertThat(waited).hasValue(1);
    }

    @Test
    void one_line_too_many_names_the_limit() {
        ObjectNode answer = JobLines.tooMany(10_001, 10_000);

        assertThat(answer.at("/error/code").asText()).isEqualTo("too_large");
        assertThat(answer.at("/error/message").asText())
                .startsWith("line 10001: one call takes 10000 jobs (penstock.api.max-lines)");
        assertThat(answer.path("line").asInt()).isEqualTo(10_001);
    }

    private List<ObjectNode> answers(Function<SubmissionProducer.Checked.Fit, CompletableFuture<RecordMetadata>> broker)
            throws InterruptedException {
        return answers(
                broker,
                IntStream.range(0, 4)
                        .mapToObj(i -> fit("line-" + i, "hello"))
                        .toArray(SubmissionProducer.Checked.Fit[]::new));
    }

    private List<ObjectNode> answers(
            Function<SubmissionProducer.Checked.Fit, CompletableFuture<RecordMetadata>> broker,
            SubmissionProducer.Checked.Fit... fits)
            throws InterruptedException {
        JobLines lines = new JobLines(new Broker(broker));
        List<JobLines.Answer> answers = new ArrayList<>();
        for (int i = 0; i < fits.length; i++) {
            answers.add(lines.submit(i + 1L, fits[i]));
        }
        List<ObjectNode> all = new ArrayList<>();
        for (JobLines.Answer answer : answers) {
            all.add(answer.await());
        }
        return all;
    }

    private class Broker implements JobLines.Door {
        private final Function<SubmissionProducer.Checked.Fit, CompletableFuture<RecordMetadata>> broker;

        Broker(Function<SubmissionProducer.Checked.Fit, CompletableFuture<RecordMetadata>> broker) {
            this.broker = broker;
        }

        @Override
        public JobLines.Written write(SubmissionProducer.Checked.Fit fit) {
            tried.add(fit.job().id().value());
            return new JobLines.Written(broker.apply(fit), row -> row);
        }

        @Override
        public JobFailure refused(Throwable failure, SubmissionProducer.Checked.Fit fit) {
            return JobFailure.of(JobFailure.Code.BROKER_UNAVAILABLE, "not confirmed");
        }

        @Override
        public ObjectNode show(JobRow row) {
            return JobObject.of(row.state().orElseThrow(), null, null, null, null);
        }

        @Override
        public JobRow known(JobRow row) {
            return row;
        }
    }

    private static RecordMetadata written() {
        return new RecordMetadata(new TopicPartition("prompt-jobs", 0), 0, 0, NOW.toEpochMilli(), 0, 0);
    }

    private static SubmissionProducer.Checked.Fit fit(String id, String prompt) {
        byte[] document = "{\"prompt\":\"%s\",\"job\":{\"id\":\"%s\"}}"
                .formatted(prompt, id)
                .getBytes(StandardCharsets.UTF_8);
        PromptJob job = switch (JobDocument.parse(
                document,
                new JobDocument.Arrival(null, new JobId("derived"), NOW),
                TestSettings.defaults().defaults(TOPIC))) {
            case JobDocument.Parsed.Valid(PromptJob valid) -> valid;
            case JobDocument.Parsed.Refused refused ->
                throw new IllegalStateException(refused.failure().message());
        };
        return new SubmissionProducer.Checked.Fit(job, Bytes.wrap(document), true, TOPIC);
    }
}
