package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;

/** A broker, a model server, and one service between them, for the tests of the REST API. */
abstract class ApiRig {
    static final Duration PATIENCE = Duration.ofSeconds(90);
    static final String JSON = "application/json";
    static final String CHAT =
            "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"metadata\":{\"order\":\"42\"}%s}";

    static Broker broker;
    static FakeUpstream fake;
    static PenstockProcess penstock;
    static ReplyLog replies;
    static final WireSchemas SCHEMAS = new WireSchemas();

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        // an operator has made it, for small jobs
        try (Admin admin = broker.admin()) {
            admin.createTopics(List.of(new NewTopic("prompt-jobs-low", 4, (short) 1)
                            .configs(Map.of("max.message.bytes", "1048576"))))
                    .all()
                    .get();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        }
        fake = FakeUpstream.start();
        penstock = PenstockProcess.with(broker.bootstrap())
                .node("fake", "vllm", URI.create(fake.url()), 8)
                .config("penstock.profiles.fast.vllm", "tiny")
                .config("penstock.timeouts.idle", "1s")
                .config("penstock.api.answer-timeout", "2s")
                .startReady();
        replies = ReplyLog.follow(broker.bootstrap());
    }

    @AfterAll
    static void stop() {
        replies.close();
        penstock.close();
        fake.close();
        broker.close();
    }

    @BeforeEach
    void answerAsUsual() {
        fake.script(_ -> Answer.unicode(20).every(Duration.ofMillis(5)));
    }

    static String submit(String document) throws InterruptedException {
        SCHEMAS.check("job.schema.json", document);
        Rest.Reply reply = Rest.post(penstock.url(), "/v1/jobs", JSON, document);
        assertThat(reply.status()).as(reply.body()).isEqualTo(202);
        return reply.json().path("id").asText();
    }

    /** A replica of another test may have its share of the jobs for a moment longer. */
    static void awaitAllSlots() throws InterruptedException {
        Metrics.await(penstock, "penstock_node_slots{node=\"fake\"}", 8, PATIENCE);
    }
}
