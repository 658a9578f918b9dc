package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.KafkaProxy;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.ShareLag;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A broker that is away, at the start or under load: the service stays up, reports it, and goes on by itself. */
@Tag("long")
class OutageIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final Duration CUT = Duration.ofSeconds(20);
    private static final String JSON = "application/json";

    @Test
    void a_broker_that_is_away_at_the_start_is_waited_for() throws InterruptedException {
        int port = Broker.freePort();
        try (FakeUpstream fake = FakeUpstream.start();
                PenstockProcess penstock = PenstockProcess.with("127.0.0.1:" + port)
                        .config("kafka.max.block.ms", "2000")
                        .node("fake", "vllm", URI.create(fake.url()), 4)
                        .start()) {
            penstock.process().awaitOk(penstock.managementUrl().resolve("/q/health/live"), PATIENCE);

            assertUnavailable(penstock);
            penstock.awaitReady(PATIENCE);
            assertThat(ready(penstock).toString())
                    .as("ready for direct calls")
                    .contains("STARTING", "has not been reached yet", "does not answer");

            try (Broker broker = Broker.start(port, Map.of())) {
                Conditions.await(() -> ready(penstock).toString().contains("RUNNING"), PATIENCE, "the intake runs");
                Rest.Reply answer = submit(penstock, "Prefer", "wait=30");
                assertThat(answer.status()).isEqualTo(200);
                assertThat(answer.json().path("status").asText()).isEqualTo("completed");
                penstock.kill9();
                assertThat(broker.bootstrap()).endsWith(":" + port);
            }
        }
    }

    @Test
    void a_connection_that_is_cut_for_twenty_seconds_under_load_loses_nothing() throws InterruptedException {
        int proxyPort = Broker.freePort();
        Broker broker = Broker.behindProxy(proxyPort);
        try (Rig rig = Rig.start("cut", broker);
                KafkaProxy proxy = KafkaProxy.start(proxyPort, broker.proxiedPort())) {
            rig.fake().script(_ -> Answer.tokens(10).every(Duration.ofMillis(200)));
            PenstockProcess cut = rig.start(rig.replicaOf(2, "cut", 64)
                    .environment("KAFKA_BOOTSTRAP_SERVERS", proxy.bootstrap())
                    .config("kafka.max.block.ms", "3000"));
            rig.start(rig.replicaOf(2, "other", 64));
            List<String> ids = Rig.ids("job", 1_500);
            rig.send(ids, "x");
            rig.fake().await(stats -> stats.finished() > 200, PATIENCE);

            long severedAt = System.nanoTime();
            proxy.sever();
            // it may run the jobs in flight by now: no request can tell it that another replica has them too
            double atOnce = inHand(cut);
            Metrics.await(cut, "penstock_broker_up", 0, PATIENCE);
            // a fetch may have been on its way
            double inHand = Math.max(atOnce, inHand(cut));
            assertUnavailable(cut);
            JsonNode ready = ready(cut);
            assertThat(ready.path("status").asText())
                    .as("readiness stays: %s", ready)
                    .isEqualTo("UP");
            assertThat(ready.toString()).contains("away since", "does not answer");
            // twenty seconds are what is tested
            TimeUnit.NANOSECONDS.sleep(severedAt + CUT.toNanos() - System.nanoTime());
            proxy.mend();

            rig.replies().awaitOutcomes(ids, PATIENCE);
            Metrics.await(cut, "penstock_broker_up", 1, PATIENCE);
            List<String> more = Rig.ids("more", 100);
            rig.send(more, "x");
            rig.replies().awaitOutcomes(more, PATIENCE);
            System.out.printf(
                    "one of two replicas cut off for 20 s under load, with %.0f jobs in hand: %d of 1,500 started more than once, %s%n",
                    inHand, rig.startedAgain(ids), rig.replies().outcomes(ids));
            assertThat(rig.replies().outcomes(ids)).isEqualTo(Map.of("completed", 1_500));
            assertThat(rig.startedAgain(ids)).isLessThanOrEqualTo((long) inHand);
            assertThat(rig.startedAgain(more)).isZero();
            ids.forEach(id -> assertThat(rig.replies().chunkText(id))
                    .as(id)
                    .isEqualTo(rig.replies().completedText(id)));
        }
    }

    @Test
    void running_jobs_go_on_when_all_connections_to_the_broker_are_cut() throws InterruptedException {
        int proxyPort = Broker.freePort();
        Broker broker = Broker.behindProxy(proxyPort);
        try (Rig rig = Rig.start("adopted", broker);
                KafkaProxy proxy = KafkaProxy.start(proxyPort, broker.proxiedPort())) {
            rig.fake().script(_ -> Answer.tokens(40).every(Duration.ofMillis(200)));
            rig.start(rig.replica("adopting", 60)
                    .environment("KAFKA_BOOTSTRAP_SERVERS", proxy.bootstrap())
                    .config("penstock.intake.mode", "share")
                    .config("penstock.intake.share-client", "own"));
            List<String> ids = Rig.ids("job", 60);
            rig.send(ids, "x");
            rig.fake().awaitInFlight(60, PATIENCE);

            proxy.cut();

            rig.replies().awaitOutcomes(ids, PATIENCE);
            try (Admin admin = broker.admin()) {
                ShareLag.awaitNone(admin, "penstock.prompt-jobs", PATIENCE);
            }
            System.out.printf(
                    "all connections cut with 60 jobs running: %d started again, %d calls of the node, %s%n",
                    rig.startedAgain(ids),
                    rig.fake().requests().size(),
                    rig.replies().outcomes(ids));
            assertThat(rig.replies().outcomes(ids)).isEqualTo(Map.of("completed", 60));
            assertThat(rig.startedAgain(ids)).isZero();
        }
    }

    /**
     * A cluster of one broker whose share coordinator wants three replicas delivers nothing; only the broker's own log
     * has the reason.
     */
    @Test
    void a_broker_that_gives_out_no_partitions_is_named_with_the_way_out() throws InterruptedException {
        Broker broker = Broker.start(
                Broker.freePort(),
                Map.of(
                        "share.coordinator.state.topic.replication.factor", "3",
                        "share.coordinator.state.topic.min.isr", "2"));
        try (Rig rig = Rig.start("unassigned", broker)) {
            PenstockProcess penstock = rig.start(rig.replica("replica", 4).config("penstock.intake.mode", "share"));

            String line = penstock.process().awaitLine(said -> said.contains("has assigned no partition"), PATIENCE);

            assertThat(line).contains("share.coordinator.state.topic.replication.factor=1");
            assertThat(ready(penstock).toString()).contains("share.coordinator.state.topic.replication.factor=1");
        }
    }

    private static double inHand(PenstockProcess replica) throws InterruptedException {
        return Metrics.value(replica, "penstock_queue_in_hand{topic=\"prompt-jobs\"}")
                .orElseThrow();
    }

    private static void assertUnavailable(PenstockProcess penstock) throws InterruptedException {
        Rest.Reply refused = submit(penstock);
        assertThat(refused.status()).as(refused.body()).isEqualTo(503);
        assertThat(refused.code()).isEqualTo("broker_unavailable");
        assertThat(refused.headers().firstValue("Retry-After")).isPresent();
    }

    private static Rest.Reply submit(PenstockProcess penstock, String... headers) throws InterruptedException {
        return Rest.post(
                penstock.url(),
                "/v1/jobs",
                JSON,
                "{\"messages\":[{\"role\":\"user\",\"content\":\"[[tokens=2]]\"}]}",
                headers);
    }

    private static JsonNode ready(PenstockProcess penstock) throws InterruptedException {
        return Rest.get(penstock.managementUrl(), "/q/health/ready").json();
    }
}
