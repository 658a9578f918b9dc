package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Postgres;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The ledger's database goes away and comes back; no job waits for it. */
@Tag("long")
final class DatabaseOutageIT {
    private static final Duration PATIENCE = Duration.ofMinutes(3);
    private static final Duration OUTAGE = Duration.ofSeconds(60);

    private Broker broker;
    private Postgres postgres;
    private FakeUpstream fake;
    private PenstockProcess first;
    private PenstockProcess second;
    private ReplyLog replies;

    @BeforeEach
    void start() throws InterruptedException {
        broker = Broker.start();
        postgres = Postgres.start("outage");
        fake = FakeUpstream.start();
        fake.script(_ -> Answer.unicode(6));
        first = start("outage-first");
        second = start("outage-second");
        replies = ReplyLog.follow(broker.bootstrap());
    }

    private PenstockProcess start(String name) throws InterruptedException {
        return PenstockProcess.with(broker.bootstrap())
                .name(name)
                .ledger(postgres)
                .node("fake", "vllm", URI.create(fake.url()), 2 * 64)
                .startReady();
    }

    @AfterEach
    void stop() {
        replies.close();
        first.close();
        second.close();
        fake.close();
        postgres.close();
        broker.close();
    }

    @Test
    void frozen_for_a_minute_under_load_and_then_killed() throws Exception {
        List<String> ids = new ArrayList<>();
        load("before", 50, ids);
        replies.awaitOutcomes(ids, PATIENCE);

        postgres.freeze();
        int during = underLoad("frozen", ids);
        postgres.thaw();
        assertEveryRowIsRight(ids);

        postgres.kill();
        List<String> killed = new ArrayList<>();
        load("killed", 50, killed);
        replies.awaitOutcomes(killed, PATIENCE);
        assertUnreadable();
        postgres.restart();
        ids.addAll(killed);
        assertEveryRowIsRight(ids);
        System.out.printf(
                "database frozen for %d s under load, then killed: %d jobs accepted and answered meanwhile, %d rows right after%n",
                OUTAGE.toSeconds(), during + killed.size(), ids.size());

        dropLedger();
        assertEveryRowIsRight(ids);
        System.out.printf("ledger deleted: built again, %d rows right%n", ids.size());
    }

    private int underLoad(String name, List<String> ids) throws InterruptedException {
        long until = System.nanoTime() + OUTAGE.toNanos();
        int jobs = 0;
        while (System.nanoTime() < until) {
            List<String> some = new ArrayList<>();
            load(name + "-" + jobs, 20, some);
            replies.awaitOutcomes(some, PATIENCE);
            ids.addAll(some);
            jobs += some.size();
            assertUnreadable();
        }
        return jobs;
    }

    private void assertUnreadable() throws InterruptedException {
        for (String path : List.of("/v1/jobs/before-0", "/v1/jobs", "/v1/jobs/before-0/events")) {
            Rest.Reply reply = Rest.get(first.url(), path);
            assertThat(reply.status()).as(path).isEqualTo(503);
            assertThat(reply.code()).isEqualTo("ledger_unavailable");
            assertThat(reply.headers().firstValue("Retry-After")).isPresent();
        }
    }

    private void load(String name, int count, List<String> ids) throws InterruptedException {
        for (int i = 0; i < count; i++) {
            String id = name + "-" + i;
            PenstockProcess replica = i % 2 == 0 ? first : second;
            Rest.Reply reply = Rest.post(
                    replica.url(),
                    "/v1/jobs",
                    "application/json",
                    "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}".formatted(id));
            assertThat(reply.status()).isEqualTo(202);
            ids.add(reply.json().path("id").asText());
        }
    }

    /** As soon as the database can be read at all, a row is right. */
    private void assertEveryRowIsRight(List<String> ids) throws InterruptedException {
        for (String id : ids) {
            JsonNode job = awaitReadable(id);
            assertThat(job.path("status").asText()).as(id).isEqualTo("completed");
            assertThat(job.path("response")
                            .path("choices")
                            .path(0)
                            .path("message")
                            .path("content")
                            .asText())
                    .isEqualTo(replies.completedText(id));
        }
    }

    private JsonNode awaitReadable(String id) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (true) {
            Rest.Reply reply = Rest.get(second.url(), "/v1/jobs/" + id, "Prefer", "wait=30");
            if (reply.status() == 200) {
                return reply.json();
            }
            assertThat(reply.status()).as(reply.body()).isEqualTo(503);
            assertThat(System.nanoTime()).as("readable again").isLessThan(until);
        }
    }

    private void dropLedger() throws Exception {
        try (Connection connection = postgres.connect();
                Statement statement = connection.createStatement()) {
            statement.execute("DROP SCHEMA public CASCADE");
            statement.execute("CREATE SCHEMA public");
        }
    }

    @Test
    void a_replica_dies_while_the_database_is_away_and_its_jobs_are_recovered_by_a_scan() throws InterruptedException {
        fake.script(_ -> Answer.tokens(80).every(Duration.ofMillis(100)));
        List<String> ids = new ArrayList<>();
        // the test does not decide which replica takes a job
        while (Metrics.value(first, "penstock_jobs_in_flight{node=\"fake\"}").orElse(0) == 0) {
            assertThat(ids).as("jobs of which the first replica took none").hasSizeLessThan(200);
            List<String> more = Rig.ids("scan-" + ids.size(), 20);
            try (JobSender jobs = new JobSender(broker.bootstrap())) {
                for (int i = 0; i < more.size(); i++) {
                    jobs.sendRaw(i % 4, JobSender.chat(more.get(i), "hi").getBytes(StandardCharsets.UTF_8));
                }
                jobs.flush();
            }
            for (String id : more) {
                replies.awaitEvent(id, event -> event.mark().kind() == EventMark.Kind.STARTED, PATIENCE);
            }
            ids.addAll(more);
        }
        postgres.kill();
        first.kill9();
        replies.awaitOutcomes(ids, PATIENCE);
        long again = ids.stream()
                .filter(id -> replies.outcome(id).mark().attempt() > 1)
                .count();
        System.out.printf("a replica killed while the database was away: %d of %d jobs went on%n", again, ids.size());
        for (String id : ids) {
            assertThat(replies.outcome(id).mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
            assertThat(replies.chunkText(id)).isEqualTo(replies.completedText(id));
        }
        assertThat(again).isPositive();
        postgres.restart();
        first = start("outage-first");
        assertEveryRowIsRight(ids);
    }
}
