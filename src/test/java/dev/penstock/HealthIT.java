package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.EndlessServer;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** The three probes over a service's life, from outside. */
class HealthIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);

    @Test
    void alive_from_the_start_and_started_and_ready_when_the_broker_was_reached_for_good() throws InterruptedException {
        int port = Broker.freePort();
        // a node without a server: health does not depend on nodes
        try (PenstockProcess penstock = PenstockProcess.with("127.0.0.1:" + port)
                .node("nobody", "vllm", URI.create("http://127.0.0.1:" + Broker.freePort()), 8)
                .start()) {
            penstock.process().awaitOk(penstock.managementUrl().resolve("/q/health/live"), PATIENCE);
            assertThat(status(penstock, "started")).isEqualTo("503 DOWN");
            assertThat(status(penstock, "ready")).isEqualTo("503 DOWN");
            assertThat(probe(penstock, "ready").body()).contains("has not been reached yet");

            try (Broker broker = Broker.start(port, Map.of())) {
                await(penstock, "ready", reply -> reply.body().contains("\"broker\": \"reachable\""));
                assertThat(status(penstock, "ready")).isEqualTo("200 UP");
                assertThat(status(penstock, "started")).isEqualTo("200 UP");
                assertThat(broker.bootstrap()).endsWith(":" + port);
            }
            await(penstock, "ready", reply -> reply.body().contains("away since"));
            assertThat(status(penstock, "ready")).isEqualTo("200 UP");
            assertThat(status(penstock, "started")).isEqualTo("200 UP");
            assertThat(status(penstock, "live")).isEqualTo("200 UP");
            penstock.kill9();
        }
    }

    @Test
    void not_ready_while_it_drains_and_alive_to_the_end() throws InterruptedException {
        try (Broker broker = Broker.start();
                FakeUpstream fake = FakeUpstream.start();
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .node("fake", "vllm", URI.create(fake.url()), 8)
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                JobSender jobs = new JobSender(broker.bootstrap())) {
            fake.script(_ -> Answer.tokens(80).every(Duration.ofMillis(100)));
            jobs.send("long", "x");
            jobs.flush();
            fake.awaitInFlight(1, PATIENCE);

            penstock.terminate();

            await(penstock, "ready", reply -> reply.status() == 503);
            assertThat(probe(penstock, "ready").body()).contains("DRAINING");
            assertThat(status(penstock, "started")).isEqualTo("200 UP");
            assertThat(status(penstock, "live")).isEqualTo("200 UP");
            assertThat(fake.stats().inFlight()).as("it runs on").isEqualTo(1);
            penstock.process().awaitLine(line -> line.contains("draining: waiting for 1 running job,"), PATIENCE);
            replies.awaitOutcomes(List.of("long"), PATIENCE);
            assertThat(replies.outcomes(List.of("long"))).isEqualTo(Map.of("completed", 1));
            assertThat(penstock.process().awaitExit(PATIENCE)).isPresent();
        }
    }

    /** A list of models without an end, a limit that is too high, and a small heap. */
    @Test
    void where_memory_runs_out_the_process_ends_by_itself() throws InterruptedException {
        try (EndlessServer server = new EndlessServer()
                        .says(200, "application/json", "{\"data\":[{\"id\":\"a\"}", ",{\"id\":\"a\"}");
                PenstockProcess penstock = PenstockProcess.with("127.0.0.1:" + Broker.freePort())
                        .itsOwnStart()
                        .runtimeOption("-Xmx96m")
                        .config("penstock.answers.max-listing", "1G")
                        .node("endless", "openai-compatible", server.url(), 1)
                        .start()) {
            OptionalInt status = penstock.process().awaitExit(PATIENCE);

            assertThat(status).as("%s", penstock.process().output()).isPresent();
            assertThat(status.getAsInt()).isNotZero();
            assertThat(penstock.process().output()).anyMatch(line -> line.contains("java.lang.OutOfMemoryError"));
        }
    }

    /** The variables that Kubernetes sets for each Service of the namespace where links are not switched off. */
    @Test
    void the_links_of_services_named_penstock_and_kafka_are_no_configuration() throws InterruptedException {
        try (Broker broker = Broker.start();
                FakeUpstream fake = FakeUpstream.start()) {
            PenstockProcess.Builder builder =
                    PenstockProcess.with(broker.bootstrap()).node("fake", "vllm", URI.create(fake.url()), 8);
            links("penstock", "10.0.0.1", 8080, "http").forEach(builder::environment);
            links("kafka", "10.0.0.2", 9092, "tcp-clients").forEach(builder::environment);
            links("ollama", "10.0.0.3", 11434, "http").forEach(builder::environment);
            try (PenstockProcess penstock = builder.startReady();
                    ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                    JobSender jobs = new JobSender(broker.bootstrap())) {
                assertThat(status(penstock, "ready")).isEqualTo("200 UP");
                assertThat(status(penstock, "started")).isEqualTo("200 UP");

                jobs.send("linked", "x");
                jobs.flush();

                replies.awaitOutcomes(List.of("linked"), PATIENCE);
                assertThat(replies.outcomes(List.of("linked"))).isEqualTo(Map.of("completed", 1));
            }
        }
    }

    private static Map<String, String> links(String service, String host, int port, String portName) {
        String name = service.toUpperCase(Locale.ROOT);
        String tcp = "%s_PORT_%d_TCP".formatted(name, port);
        String address = "tcp://%s:%d".formatted(host, port);
        String number = Integer.toString(port);
        return Map.of(
                name + "_SERVICE_HOST",
                host,
                name + "_SERVICE_PORT",
                number,
                name + "_SERVICE_PORT_" + portName.toUpperCase(Locale.ROOT).replace('-', '_'),
                number,
                name + "_PORT",
                address,
                tcp,
                address,
                tcp + "_PROTO",
                "tcp",
                tcp + "_PORT",
                number,
                tcp + "_ADDR",
                host);
    }

    private static Rest.Reply probe(PenstockProcess penstock, String name) throws InterruptedException {
        return Rest.get(penstock.managementUrl(), "/q/health/" + name);
    }

    private static String status(PenstockProcess penstock, String name) throws InterruptedException {
        Rest.Reply reply = probe(penstock, name);
        JsonNode document = reply.json();
        return reply.status() + " " + document.path("status").asText();
    }

    private static void await(PenstockProcess penstock, String name, Predicate<Rest.Reply> fits)
            throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        Rest.Reply reply = probe(penstock, name);
        while (!fits.test(reply)) {
            assertThat(System.nanoTime()).as("%s says %s", name, reply.body()).isLessThan(until);
            Thread.sleep(50);
            reply = probe(penstock, name);
        }
    }
}
