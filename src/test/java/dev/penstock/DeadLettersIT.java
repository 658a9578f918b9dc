package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Records;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.junit.jupiter.api.Test;

/** Records that cannot run are shown, sent again, or dropped. */
class DeadLettersIT {
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    @Test
    void dead_letters_are_listed_sent_again_and_dropped() throws InterruptedException {
        try (Broker broker = Broker.start();
                FakeUpstream fake = FakeUpstream.start();
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .node("fake", "vllm", URI.create(fake.url()), 8)
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                JobSender low = new JobSender(broker.bootstrap(), "prompt-jobs-low", Map.of())) {
            URI url = penstock.url();
            low.send("twice", "one body");
            low.flush();
            replies.awaitOutcomes(List.of("twice"), PATIENCE);
            low.send("twice", "another body");
            low.sendRaw(null, "{\"prompt\":".getBytes(StandardCharsets.UTF_8));
            low.flush();
            replies.await(
                    () -> Records.all(broker.bootstrap(), "prompt-jobs-dlq").size() == 2,
                    PATIENCE,
                    () -> "dead letters: " + Records.all(broker.bootstrap(), "prompt-jobs-dlq"));

            List<JsonNode> letters = new ArrayList<>();
            String next = "";
            do {
                JsonNode page = Rest.get(url, "/v1/dlq?limit=1" + next).json();
                page.path("data").forEach(letters::add);
                next = "&after=" + page.path("next").asText();
            } while (!next.endsWith("null") && letters.size() < 5);
            assertThat(letters)
                    .extracting(letter -> letter.path("reason").asText())
                    .containsExactlyInAnyOrder("id_conflict", "invalid_request");
            String conflict = id(letters, "id_conflict");
            String malformed = id(letters, "invalid_request");
            assertThat(Rest.get(url, "/v1/dlq/" + malformed)
                            .json()
                            .path("value")
                            .asText())
                    .isEqualTo("{\"prompt\":");

            assertThat(Rest.post(url, "/v1/dlq/%s/retry".formatted(malformed), "application/json", "")
                            .status())
                    .isEqualTo(400);
            Rest.Reply retried = Rest.post(url, "/v1/dlq/%s/retry".formatted(conflict), "application/json", "");
            assertThat(retried.status()).as(retried.body()).isEqualTo(202);
            String again = retried.json().path("id").asText();
            replies.awaitOutcomes(List.of(again), PATIENCE);
            assertThat(fake.requests().getLast().request().prompt()).isEqualTo("another body");
            String document = new String(
                    Records.all(broker.bootstrap(), "prompt-jobs-low").stream()
                            .filter(record -> again.equals(new String(
                                    record.key() == null ? new byte[0] : record.key(), StandardCharsets.UTF_8)))
                            .findFirst()
                            .orElseThrow()
                            .value(),
                    StandardCharsets.UTF_8);
            assertThat(document).contains("\"retry_of\":\"twice\"");
            Rest.Reply closed = Rest.post(url, "/v1/dlq/%s/retry".formatted(conflict), "application/json", "");
            assertThat(closed.status()).isEqualTo(404);
            assertThat(closed.body()).contains("retried as " + again);

            ChildProcess list = ClientIT.run(List.of("dlq", "list", "--url", url.toString()));
            assertThat(list.awaitExit(PATIENCE)).hasValue(0);
            assertThat(String.join("\n", list.output()))
                    .contains(malformed, "invalid_request")
                    .doesNotContain("id_conflict");
            assertThat(ClientIT.run(List.of("dlq", "drop", "--url", url.toString(), malformed))
                            .awaitExit(PATIENCE))
                    .hasValue(0);
            assertThat(Rest.get(url, "/v1/dlq").json().path("data")).isEmpty();
            assertThat(Rest.get(url, "/v1/dlq/9-9").status()).isEqualTo(404);
            assertThat(ClientIT.run(List.of("dlq", "show", "--url", url.toString(), malformed))
                            .awaitExit(PATIENCE))
                    .hasValue(5);
        }
    }

    /**
     * If the record were given back each time, the broker would deliver it ten times within a moment, and then archive
     * it.
     */
    @Test
    void a_refused_record_waits_until_its_dead_letter_can_be_written() throws InterruptedException, ExecutionException {
        try (Broker broker = Broker.start();
                FakeUpstream fake = FakeUpstream.start();
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .node("fake", "vllm", URI.create(fake.url()), 8)
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                JobSender jobs = new JobSender(broker.bootstrap())) {
            limitDeadLetters(broker, "100");
            ProducerRecord<byte[], byte[]> refused = new ProducerRecord<>(
                    "prompt-jobs", "{\"prompt\":".repeat(100).getBytes(StandardCharsets.UTF_8));
            refused.headers().add("job-id", "refused".getBytes(StandardCharsets.UTF_8));
            jobs.send(refused);
            jobs.flush();
            replies.await(
                    () -> penstock.process().output().stream()
                                    .filter(line -> line.contains("could not be dead-lettered"))
                                    .count()
                            > 3,
                    PATIENCE,
                    () -> String.join("\n", penstock.process().output()));
            assertThat(replies.ids()).doesNotContain("refused");

            limitDeadLetters(broker, "1048588");
            var _ = replies.awaitEvent("refused", event -> event.mark().kind() == EventMark.Kind.REJECTED, PATIENCE);

            assertThat(replies.count("refused", EventMark.Kind.REJECTED)).isEqualTo(1);
            assertThat(Records.all(broker.bootstrap(), "prompt-jobs-dlq")).hasSize(1);
        }
    }

    private static void limitDeadLetters(Broker broker, String bytes) throws InterruptedException, ExecutionException {
        try (Admin admin = broker.admin()) {
            admin.incrementalAlterConfigs(Map.of(
                            new ConfigResource(ConfigResource.Type.TOPIC, "prompt-jobs-dlq"),
                            List.of(new AlterConfigOp(
                                    new ConfigEntry("max.message.bytes", bytes), AlterConfigOp.OpType.SET))))
                    .all()
                    .get();
        }
    }

    private static String id(List<JsonNode> letters, String reason) {
        return letters.stream()
                .filter(letter -> letter.path("reason").asText().equals(reason))
                .map(letter -> letter.path("id").asText())
                .findFirst()
                .orElseThrow();
    }
}
