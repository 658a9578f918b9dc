package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Records;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** Jobs that arrive twice. {@link LedgerIT} inherits these tests, so that two replicas are started for all of them. */
abstract class LedgerDuplicates extends TwoReplicas {
    static final Duration PATIENCE = Duration.ofSeconds(60);

    static String chat(String id, String prompt) {
        return JobSender.chat(id, prompt);
    }

    static Rest.Reply post(PenstockProcess replica, String document, String... headers) throws InterruptedException {
        return Rest.post(replica.url(), "/v1/jobs", "application/json", document, headers);
    }

    @Test
    void one_idempotency_key_is_one_job() throws Exception {
        fake.script(_ -> Answer.of("once"));
        Set<String> ids = new HashSet<>();
        try (var clients = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Rest.Reply>> sent = new ArrayList<>();
            for (int i = 0; i < 50; i++) {
                PenstockProcess replica = i % 2 == 0 ? first : second;
                sent.add(clients.submit(() -> post(
                        replica,
                        "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"keyed\"}]}",
                        "Idempotency-Key",
                        "order-42")));
            }
            for (Future<Rest.Reply> reply : sent) {
                assertThat(reply.get().status()).isIn(200, 202);
                ids.add(reply.get().json().path("id").asText());
            }
        }
        assertThat(ids).hasSize(1);
        String id = ids.iterator().next();
        replies.awaitOutcomes(ids, PATIENCE);
        assertThat(replies.outcome(id).mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
        System.out.printf(
                "one Idempotency-Key 50 times at once at two replicas: one id, one outcome, ran %d times%n",
                fake.stats().requests());
        Rest.Reply again = post(
                second,
                "{\"messages\":[{\"content\":\"keyed\",\"role\":\"user\"}],\"model\":\"tiny\"}",
                "Idempotency-Key",
                "order-42",
                "Prefer",
                "wait=30");
        assertThat(again.status()).isEqualTo(200);
        assertThat(again.json().path("status").asText()).isEqualTo("completed");
        Rest.Reply other = post(
                first,
                "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"other\"}]}",
                "Idempotency-Key",
                "order-42");
        assertThat(other.status()).isEqualTo(409);
        assertThat(other.code()).isEqualTo("id_conflict");
    }

    @Test
    void a_second_record_of_a_finished_job_is_answered_again_and_not_run() throws InterruptedException {
        fake.script(_ -> Answer.of("first"));
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.send("twice", "hi");
            jobs.flush();
            replies.awaitOutcomes(List.of("twice"), PATIENCE);
            assertThat(Rest.get(first.url(), "/v1/jobs/twice", "Prefer", "wait=10")
                            .json()
                            .path("status")
                            .asText())
                    .isEqualTo("completed");

            jobs.send("twice", "hi");
            jobs.flush();

            ReplyLog.Event replayed = replies.awaitEvent(
                    "twice", event -> event.json().path("job").path("replayed").asBoolean(), PATIENCE);
            assertThat(replayed.mark()).isEqualTo(replies.outcome("twice").mark());
            assertThat(fake.stats().requests()).isEqualTo(1);

            jobs.send("twice", "something else");
            jobs.flush();
            ReplyLog.Event rejected =
                    replies.awaitEvent("twice", event -> event.mark().kind() == EventMark.Kind.REJECTED, PATIENCE);
            assertThat(rejected.json().path("error").path("code").asText()).isEqualTo("id_conflict");
            assertThat(fake.stats().requests()).isEqualTo(1);
            assertThat(Records.all(broker.bootstrap(), "prompt-jobs-dlq"))
                    .anyMatch(record -> new String(record.value(), StandardCharsets.UTF_8).contains("something else"));
        }
        assertThat(Rest.get(second.url(), "/v1/jobs/twice")
                        .json()
                        .path("status")
                        .asText())
                .isEqualTo("completed");
        double duplicates = 0;
        for (PenstockProcess replica : List.of(first, second)) {
            duplicates += Metrics.value(replica, "penstock_duplicates_total").orElse(0);
        }
        assertThat(duplicates).isGreaterThanOrEqualTo(2);
    }

    @Test
    void a_second_record_of_a_running_job_waits_for_its_outcome() throws InterruptedException {
        fake.script(_ -> Answer.tokens(20).every(Duration.ofMillis(250)));
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.send("running", "hi");
            jobs.flush();
            fake.awaitRequests(1, PATIENCE);
            // two records that are closer together than the ledger's lag may both run
            awaitStatus("running", "running");
            jobs.send("running", "hi");
            jobs.flush();

            replies.awaitEvent(
                    "running",
                    event -> event.json().path("job").path("replayed").asBoolean(),
                    PATIENCE);
        }
        assertThat(fake.stats().requests()).isEqualTo(1);
        assertThat(replies.count("running", EventMark.Kind.STARTED)).isEqualTo(1);
    }

    private static void awaitStatus(String id, String wanted) throws InterruptedException {
        for (PenstockProcess replica : List.of(first, second)) {
            long until = System.nanoTime() + PATIENCE.toNanos();
            String status = "";
            while (!status.equals(wanted)) {
                assertThat(System.nanoTime()).as("job %s is %s", id, status).isLessThan(until);
                status = Rest.get(replica.url(), "/v1/jobs/" + id)
                        .json()
                        .path("status")
                        .asText();
            }
        }
    }

    @Test
    void many_lines_are_looked_up_too() throws InterruptedException {
        fake.script(_ -> Answer.of("ok"));
        assertThat(post(first, chat("line-1", "hi")).status()).isEqualTo(202);
        String lines = chat("line-1", "hi") + "\n" + chat("line-2", "hi") + "\n" + chat("line-1", "other") + "\n";

        Rest.Reply reply = Rest.post(second.url(), "/v1/jobs", "application/x-ndjson", lines);

        List<JsonNode> answers = reply.body()
                .lines()
                .map(line -> Objects.requireNonNull(dev.penstock.wire.Json.parseLenient(line)))
                .toList();
        assertThat(answers.get(0).path("id").asText()).isEqualTo("line-1");
        assertThat(answers.get(1).path("status").asText()).isEqualTo("queued");
        assertThat(answers.get(2).path("error").path("code").asText()).isEqualTo("id_conflict");
        replies.awaitOutcomes(List.of("line-1", "line-2"), PATIENCE);
    }
}
