package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.junit.jupiter.api.Test;

/** The state of jobs, from two replicas with one PostgreSQL. The tests of jobs that arrive twice are inherited. */
final class LedgerIT extends LedgerDuplicates {
    @Test
    void a_job_is_found_at_any_replica_and_shown_whole() throws InterruptedException {
        fake.script(_ -> Answer.of("Hello", " there"));
        String document = """
                {"model":"tiny","messages":[{"role":"user","content":"hi"}],"metadata":{"order":"42"},"job":{"id":"shown"}}""";

        Rest.Reply accepted = post(first, document, "Prefer", "wait=30");

        assertThat(accepted.status()).isEqualTo(200);
        JsonNode job =
                Rest.get(second.url(), "/v1/jobs/shown", "Prefer", "wait=30").json();
        assertThat(job.path("status").asText()).isEqualTo("completed");
        assertThat(job.path("response")
                        .path("choices")
                        .path(0)
                        .path("message")
                        .path("content")
                        .asText())
                .isEqualTo("Hello there");
        assertThat(job.path("response").has("job")).isFalse();
        assertThat(job.path("metadata").path("order").asText()).isEqualTo("42");
        assertThat(job.path("usage").path("completion_tokens").asInt()).isEqualTo(2);
        assertThat(job.path("attempts").asInt()).isEqualTo(1);
        assertThat(job.path("node").asText()).isEqualTo("fake");
        assertThat(job.path("task").asText()).isEqualTo("chat");
        assertThat(accepted.json().path("response")).isEqualTo(job.path("response"));
        assertThat(job.path("error").isNull()).isTrue();
    }

    @Test
    void what_is_not_there_is_not_found() throws InterruptedException {
        for (PenstockProcess replica : List.of(first, second)) {
            Rest.Reply reply = Rest.get(replica.url(), "/v1/jobs/nowhere");
            assertThat(reply.status()).isEqualTo(404);
            assertThat(reply.code()).isEqualTo("not_found");
            assertThat(Rest.delete(replica.url(), "/v1/jobs/nowhere").status()).isEqualTo(404);
            assertThat(Rest.get(replica.url(), "/v1/jobs/nowhere/events").status())
                    .isEqualTo(404);
        }
    }

    @Test
    void a_wait_ends_with_the_outcome_or_with_the_time() throws InterruptedException {
        fake.script(_ -> Answer.tokens(20).every(Duration.ofMillis(50)));
        assertThat(post(first, chat("waited", "hi"), "Prefer", "wait=0").status())
                .isEqualTo(202);

        Rest.Reply outcome = Rest.get(second.url(), "/v1/jobs/waited", "Prefer", "wait=30");

        assertThat(outcome.status()).isEqualTo(200);
        assertThat(outcome.json().path("status").asText()).isEqualTo("completed");
        fake.script(_ -> Answer.tokens(1).stallBeforeResponse());
        Rest.Reply tooShort = post(first, chat("endless", "hi"), "Prefer", "wait=1");
        assertThat(tooShort.status()).isEqualTo(202);
        Rest.Reply still = Rest.get(second.url(), "/v1/jobs/endless", "Prefer", "wait=1");
        assertThat(still.status()).isEqualTo(200);
        assertThat(still.json().path("status").asText()).isEqualTo("running");
        assertThat(Rest.delete(second.url(), "/v1/jobs/endless").status()).isEqualTo(202);
        assertThat(Rest.get(first.url(), "/v1/jobs/endless", "Prefer", "wait=30")
                        .json()
                        .path("status")
                        .asText())
                .isEqualTo("cancelled");
        Rest.Reply over = Rest.delete(first.url(), "/v1/jobs/endless");
        // the wait reads the events themselves, which the ledger has a moment later
        for (long end = System.nanoTime() + PATIENCE.toNanos(); over.status() == 202 && System.nanoTime() < end; ) {
            over = Rest.delete(first.url(), "/v1/jobs/endless");
        }
        assertThat(over.status()).isEqualTo(200);
        assertThat(over.json().path("status").asText()).isEqualTo("cancelled");
        assertThat(post(first, chat("bad", "hi"), "Prefer", "wait=soon").status())
                .isEqualTo(400);
    }

    @Test
    void the_list_has_pages_and_filters() throws InterruptedException {
        fake.script(_ -> Answer.of("ok"));
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < 25; i++) {
            ids.add("listed-" + i);
            assertThat(post(i % 2 == 0 ? first : second, chat("listed-" + i, "hi"))
                            .status())
                    .isEqualTo(202);
        }
        replies.awaitOutcomes(ids, PATIENCE);
        for (String id : ids) {
            assertThat(Rest.get(first.url(), "/v1/jobs/" + id, "Prefer", "wait=10")
                            .json()
                            .path("status")
                            .asText())
                    .isEqualTo("completed");
        }

        Set<String> seen = new HashSet<>();
        String after = "";
        do {
            JsonNode page = Rest.get(
                            second.url(), "/v1/jobs?status=completed&model=tiny&tenant=default&limit=10" + after)
                    .json();
            assertThat(page.path("object").asText()).isEqualTo("list");
            for (JsonNode job : page.path("data")) {
                assertThat(seen.add(job.path("id").asText())).isTrue();
                assertThat(job.path("status").asText()).isEqualTo("completed");
                assertThat(job.path("response").isNull()).isTrue();
            }
            after = page.path("next").isNull()
                    ? ""
                    : "&after=" + page.path("next").asText();
        } while (!after.isEmpty());

        assertThat(seen).containsAll(ids);
        assertThat(Rest.get(first.url(), "/v1/jobs?status=gone").code()).isEqualTo("invalid_request");
        assertThat(Rest.get(first.url(), "/v1/jobs?limit=1000").status()).isEqualTo(400);
        assertThat(Rest.get(first.url(), "/v1/jobs?after=x").status()).isEqualTo(400);
        assertThat(Rest.get(first.url(), "/v1/jobs?tenant=nobody").json().path("data"))
                .isEmpty();
        String newest = Rest.get(first.url(), "/v1/jobs?limit=1")
                .json()
                .path("data")
                .path(0)
                .path("id")
                .asText();
        assertThat(newest).isNotEmpty();
    }

    @Test
    void one_thousand_jobs_are_never_unknown_at_the_other_replica() throws Exception {
        fake.script(_ -> Answer.of("a", "b"));
        Semaphore atOnce = new Semaphore(32);
        try (var clients = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Integer>> asked = new ArrayList<>();
            for (int i = 0; i < 1_000; i++) {
                PenstockProcess writes = i % 2 == 0 ? first : second;
                PenstockProcess reads = i % 2 == 0 ? second : first;
                asked.add(clients.submit(() -> {
                    atOnce.acquire();
                    try {
                        Rest.Reply accepted = post(
                                writes, "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
                        assertThat(accepted.status()).isEqualTo(202);
                        String path = "/v1/jobs/" + accepted.json().path("id").asText();
                        Rest.Reply found = Rest.get(reads.url(), path);
                        // on a busy machine the ledger may be more than two seconds behind, and reports that
                        while (found.status() == 503) {
                            found = Rest.get(reads.url(), path);
                        }
                        return found.status();
                    } finally {
                        atOnce.release();
                    }
                }));
            }
            int missing = 0;
            for (Future<Integer> status : asked) {
                missing += status.get() == 200 ? 0 : 1;
            }
            System.out.printf("202, then GET at the other replica, 1,000 times: %d not found%n", missing);
            assertThat(missing).isZero();
        }
    }

    @Test
    void streams_polling_and_the_topic_agree_to_the_character() throws Exception {
        fake.script(_ -> Answer.unicode(12));
        List<String> ids = new ArrayList<>();
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            for (int i = 0; i < 1_000; i++) {
                ids.add("agree-" + i);
                jobs.send("agree-" + i, "hi");
            }
            jobs.flush();
        }
        replies.awaitOutcomes(ids, PATIENCE);
        Semaphore atOnce = new Semaphore(16);
        try (var clients = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<?>> compared = new ArrayList<>();
            for (int i = 0; i < ids.size(); i++) {
                String id = ids.get(i);
                PenstockProcess replica = i % 2 == 0 ? first : second;
                compared.add(clients.submit(() -> {
                    atOnce.acquire();
                    try {
                        compare(replica, id);
                    } finally {
                        atOnce.release();
                    }
                    return null;
                }));
            }
            for (Future<?> each : compared) {
                each.get();
            }
        }
        System.out.println("1,000 jobs: event stream and polling equal a plain consumer's reading");
    }

    private static void compare(PenstockProcess replica, String id) throws InterruptedException, IOException {
        List<String> topic =
                replies.valid(id).stream().map(ReplyLog.Event::value).toList();
        List<String> streamed = new ArrayList<>();
        try (Rest.Events events = Rest.events(replica.url(), id, null)) {
            for (Rest.SentEvent event = events.next(); event != null; event = events.next()) {
                streamed.add(event.data());
            }
        }
        assertThat(streamed).isEqualTo(topic);
        JsonNode polled =
                Rest.get(replica.url(), "/v1/jobs/" + id, "Prefer", "wait=10").json();
        assertThat(polled.path("response")
                        .path("choices")
                        .path(0)
                        .path("message")
                        .path("content")
                        .asText())
                .isEqualTo(replies.completedText(id))
                .isEqualTo(replies.chunkText(id));
        assertThat(polled.path("node").asText()).isEqualTo("fake");
    }

    @Test
    void a_queued_job_shows_its_place() throws InterruptedException {
        fake.script(_ -> Answer.of("ok"));
        fake.stop();
        for (PenstockProcess replica : List.of(first, second)) {
            Metrics.await(replica, "penstock_node_up{node=\"fake\"}", 0, PATIENCE);
        }
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            ids.add("placed-" + i);
            assertThat(post(first, chat("placed-" + i, "hi")).status()).isEqualTo(202);
            assertThat(Rest.get(first.url(), "/v1/jobs/placed-" + i).status()).isEqualTo(200);
        }
        try {
            assertThat(Rest.get(second.url(), "/v1/jobs/placed-2")
                            .json()
                            .path("queue_position")
                            .asInt(-1))
                    .isEqualTo(2);
            assertThat(Rest.get(second.url(), "/v1/jobs/placed-0")
                            .json()
                            .path("queue_position")
                            .asInt(-1))
                    .isEqualTo(0);
        } finally {
            fake.restart();
        }
        replies.awaitOutcomes(ids, PATIENCE);
        JsonNode over =
                Rest.get(second.url(), "/v1/jobs/placed-2", "Prefer", "wait=10").json();
        assertThat(over.path("queue_position").isNull()).isTrue();
    }

    @Test
    void a_record_with_bad_json_ends_nobodys_job() throws InterruptedException {
        fake.script(_ -> Answer.of("ok"));
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.send(new ProducerRecord<>(
                    "prompt-jobs",
                    null,
                    null,
                    "{\"job\":{\"id\":\"refused\"},\"messages\":3}".getBytes(StandardCharsets.UTF_8)));
            jobs.flush();
        }
        replies.awaitEvent("refused", event -> event.mark().kind() == EventMark.Kind.REJECTED, PATIENCE);
        Rest.Reply refused = Rest.get(first.url(), "/v1/jobs/refused", "Prefer", "wait=30");
        assertThat(refused.status()).isEqualTo(200);
        assertThat(refused.json().path("status").asText()).isEqualTo("rejected");
        assertThat(refused.json().path("error").path("code").asText()).isEqualTo("invalid_request");
        String letter = refused.json().path("dead_letter").asText();
        assertThat(Rest.get(first.url(), "/v1/dlq/" + letter)
                        .json()
                        .path("job_id")
                        .asText())
                .isEqualTo("refused");
        assertThat(Rest.get(second.url(), "/v1/jobs?status=rejected")
                        .json()
                        .path("data")
                        .findValuesAsText("id"))
                .contains("refused");
        for (String way : List.of("--url=" + second.url(), "--kafka=" + broker.bootstrap())) {
            assertThat(ClientIT.run(List.of("watch", way, "refused")).awaitExit(PATIENCE))
                    .as(way)
                    .hasValue(5);
        }
        assertThat(post(second, chat("refused", "hi"), "Prefer", "wait=30").status())
                .isEqualTo(200);
        assertThat(Rest.get(first.url(), "/v1/jobs/refused", "Prefer", "wait=30")
                        .json()
                        .path("status")
                        .asText())
                .isEqualTo("completed");
        assertThat(ClientIT.run(List.of("watch", "--kafka", broker.bootstrap(), "refused"))
                        .awaitExit(PATIENCE))
                .hasValue(0);
    }
}
