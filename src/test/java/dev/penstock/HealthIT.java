package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** What the three probes say over a service's life, from outside. */
class HealthIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);

    @Test
    void alive_from_the_start_and_started_and_ready_when_the_broker_was_reached_for_good() throws InterruptedException {
        int port = Broker.freePort();
        // a node that nobody runs: health is not about nodes
        try (PenstockProcess penstock = PenstockProcess.with("127.0.0.1:" + port)
                .node("nobody", "vllm", URI.create("http://127.0.0.1:" + Broker.freePort()), 8)
                .start()) {
            penstock.process().awaitOk(penstock.managementUrl().resolve("/q/health/live"), PATIENCE);
            assertThat(status(penstock, "started")).isEqualTo("503 DOWN");
            assertThat(status(penstock, "ready")).isEqualTo("503 DOWN");
            assertThat(probe(penstock, "ready").body()).contains("has not been reached yet");

            try (Broker broker = Broker.start(port, Map.of())) {
                await(penstock, "ready", reply -> reply.status() == 200);
                assertThat(status(penstock, "started")).isEqualTo("200 UP");
                assertThat(probe(penstock, "ready").body()).contains("\"broker\": \"reachable\"");
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
            replies.awaitOutcomes(List.of("long"), PATIENCE);
            assertThat(replies.outcomes(List.of("long"))).isEqualTo(Map.of("completed", 1));
            assertThat(penstock.process().awaitExit(PATIENCE)).isPresent();
        }
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
