package dev.penstock;

import static dev.penstock.DirectCallsRig.CHAT;
import static dev.penstock.DirectCallsRig.JSON;
import static dev.penstock.DirectCallsRig.PATIENCE;
import static dev.penstock.DirectCallsRig.SCHEMAS;
import static dev.penstock.DirectCallsRig.WHOLE;
import static dev.penstock.DirectCallsRig.chat;
import static dev.penstock.DirectCallsRig.documents;
import static dev.penstock.DirectCallsRig.text;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.UpstreamRequest;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Direct calls whose client, node, broker or replica goes away. */
@Timeout(180)
class DirectFaultsIT {
    private static DirectCallsRig rig;

    @BeforeAll
    static void start() throws InterruptedException {
        rig = new DirectCallsRig();
    }

    @AfterAll
    static void stop() {
        rig.close();
    }

    @BeforeEach
    void reset() {
        rig.reset();
    }

    @Test
    void a_client_that_leaves_ends_the_request_at_the_node() throws InterruptedException, IOException {
        rig.fake.script(_ -> Answer.tokens(10_000).every(Duration.ofMillis(50)));
        HttpResponse<InputStream> stream = rig.open(chat("streamed", ",\"stream\":true"));
        assertThat(stream.body().read()).isPositive();
        stream.body().close();

        rig.fake.await(stats -> stats.cancelled() == 1, PATIENCE);
        try (Socket waiting = rig.connection(chat("whole", ""))) {
            rig.fake.awaitInFlight(1, PATIENCE);
            assertThat(waiting.isConnected()).isTrue();
        }

        rig.fake.await(stats -> stats.cancelled() == 2, PATIENCE);
        rig.assertIdle();
    }

    @Test
    void a_client_that_reads_nothing_is_dropped() throws InterruptedException, IOException {
        // more than the buffers of both ends of the connection hold
        rig.fake.script(_ ->
                Answer.tokens(Collections.nCopies(40_000, "x".repeat(1_000))).every(Duration.ofMillis(1)));

        try (Socket deaf = rig.connection(chat("deaf", ",\"stream\":true"))) {
            rig.fake.await(stats -> stats.cancelled() == 1, PATIENCE);
            assertThat(deaf.isConnected()).isTrue();
            rig.fake.script(_ -> Answer.unicode(50));
            assertThat(rig.post(CHAT, chat("Hi", "")).status()).isEqualTo(200);
        }
        rig.assertIdle();
    }

    @Test
    void a_node_that_dies_in_mid_stream_leaves_one_whole_answer() throws InterruptedException {
        Set<String> broken = ConcurrentHashMap.newKeySet();
        rig.fake.script(request -> breaking(request, broken));

        for (int after : List.of(0, 1, 7, 49)) {
            Rest.Reply stream = rig.post(CHAT, chat("stream-" + after, ",\"stream\":true"));
            Rest.Reply whole = rig.post(CHAT, chat("whole-" + after, ""));

            assertThat(text(documents(stream.body()))).as("after " + after).isEqualTo(WHOLE);
            assertThat(whole.json().at("/choices/0/message/content").asText())
                    .as("after " + after)
                    .isEqualTo(WHOLE);
            assertThat(whole.headers().firstValue("x-penstock-attempts")).hasValue("2");
        }
    }

    /** The first request of each prompt gets so many tokens, and then the connection ends. */
    private static Answer breaking(UpstreamRequest request, Set<String> broken) {
        int after = Integer.parseInt(request.prompt().replaceFirst(".*-", ""));
        Answer answer = Answer.unicode(50);
        return broken.add(request.prompt()) ? answer.closeAfter(after) : answer;
    }

    @Test
    void an_answer_that_cannot_go_on_ends_with_an_error_event() throws InterruptedException {
        rig.fake.script(_ -> Answer.unicode(50).every(Duration.ofMillis(5)).closeAfter(10));

        Rest.Reply stream = rig.post(CHAT, chat("Hi", ",\"stream\":true,\"logprobs\":true"));

        assertThat(stream.status()).isEqualTo(200);
        assertThat(stream.body()).doesNotContain("[DONE]");
        JsonNode last = documents(stream.body()).getLast();
        assertThat(last.at("/error/code").asText()).isEqualTo("stream_broken");
        SCHEMAS.check("error.schema.json", last.toString());
        assertThat(rig.fake.requests()).hasSize(1);
        rig.assertIdle();
    }

    @Test
    void a_broker_that_is_away_from_the_start_or_later_does_not_matter() throws InterruptedException {
        int port = Broker.freePort();
        try (PenstockProcess alone = PenstockProcess.with("127.0.0.1:" + port)
                .node("fake", "vllm", URI.create(rig.fake.url()), 8)
                .config("kafka.max.block.ms", "2000")
                .startReady()) {
            assertThat(Rest.post(alone.url(), CHAT, JSON, chat("never there", ""))
                            .status())
                    .isEqualTo(200);
            assertThat(Rest.post(alone.url(), "/v1/jobs", JSON, chat("a job", ""))
                            .status())
                    .isEqualTo(503);
            try (Broker late = Broker.start(port, Map.of())) {
                Metrics.await(alone, "penstock_broker_up", 1, PATIENCE);
                assertThat(late.bootstrap()).endsWith(":" + port);
                assertThat(Rest.post(alone.url(), CHAT, JSON, chat("there", "")).status())
                        .isEqualTo(200);
            }
            Metrics.await(alone, "penstock_broker_up", 0, PATIENCE);

            Rest.Reply stream = Rest.post(alone.url(), CHAT, JSON, chat("gone", ",\"stream\":true"));

            assertThat(text(documents(stream.body()))).isEqualTo(WHOLE);
            alone.kill9();
        }
    }

    @Test
    void a_replica_that_stops_lets_its_calls_end_and_takes_no_new_ones() throws InterruptedException, IOException {
        rig.fake.script(_ -> Answer.unicode(50).every(Duration.ofMillis(100)));
        try (PenstockProcess stopping = PenstockProcess.with(rig.broker.bootstrap())
                .node("fake", "vllm", URI.create(rig.fake.url()), 8)
                .name("stopping")
                .config("penstock.groups-prefix", "stopping.")
                .startReady()) {
            HttpResponse<InputStream> stream = DirectCallsRig.open(stopping, chat("Hi", ",\"stream\":true"));

            stopping.terminate();
            Conditions.await(
                    () -> Rest.get(stopping.managementUrl(), "/q/health/ready").status() == 503,
                    PATIENCE,
                    "it does not drain");
            Rest.Reply refused = Rest.post(stopping.url(), CHAT, JSON, chat("late", ""));

            assertThat(refused.status()).isEqualTo(503);
            assertThat(refused.headers().firstValue("Retry-After")).isPresent();
            String all = new String(stream.body().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(text(documents(all))).isEqualTo(WHOLE);
            assertThat(stopping.process().awaitExit(PATIENCE)).isPresent();
        }
    }
}
