package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.ShareLag;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Stats;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** 64 slots are used fully, whatever partitions the jobs lie on, and never more. */
@Tag("alone")
class SlotsIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);

    private static Broker broker;
    private static FakeUpstream fake;
    private static PenstockProcess penstock;
    private static ReplyLog replies;

    @BeforeAll
    static void start() throws InterruptedException {
        broker = Broker.start();
        fake = FakeUpstream.start();
        penstock = PenstockProcess.with(broker.bootstrap())
                .node("fake", "vllm", URI.create(fake.url()), 64)
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
    void forget() {
        fake.byPrompt("");
        fake.reset();
    }

    /** Holds the first 64 requests, so that all slots are busy at once on a slow machine too. */
    private static void hold(Answer answer) {
        fake.script(request -> request.sequence() <= 64 ? answer.firstTokenAfter(Duration.ofSeconds(5)) : answer);
    }

    @Test
    void a_thousand_jobs_run_once_each_on_64_slots() throws InterruptedException {
        hold(Answer.tokens(5).firstTokenAfter(Duration.ofMillis(300)).every(Duration.ofMillis(50)));

        List<String> ids = send("thousand", 1000, "hello", Map.of());

        replies.awaitOutcomes(ids, PATIENCE);

        Stats stats = fake.stats();
        System.out.printf("1,000 jobs: %d requests, at most %d at once%n", stats.requests(), stats.maxInFlight());
        assertThat(stats.requests()).isEqualTo(1000);
        assertThat(stats.maxInFlight()).isEqualTo(64);
        for (String id : ids) {
            assertThat(replies.count(id, EventMark.Kind.STARTED)).as(id).isEqualTo(1);
            assertThat(replies.count(id, EventMark.Kind.COMPLETED)).as(id).isEqualTo(1);
            assertThat(replies.chunkText(id))
                    .as(id)
                    .isEqualTo(replies.completedText(id))
                    .isNotEmpty();
        }
        try (Admin admin = broker.admin()) {
            ShareLag.awaitNone(admin, "penstock.prompt-jobs", PATIENCE);
        } catch (AssertionError e) {
            // whether a consumer still has them, or the broker's figure is behind
            throw new AssertionError(
                    Metrics.text(penstock)
                            .lines()
                            .filter(line -> line.startsWith("penstock_queue"))
                            .toList()
                            .toString(),
                    e);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"prompt-jobs-high", "prompt-jobs", "prompt-jobs-low"})
    void a_backlog_in_one_topic_alone_uses_every_slot(String topic) throws InterruptedException {
        hold(Answer.tokens(1).firstTokenAfter(Duration.ofMillis(200)));
        List<String> ids = new ArrayList<>();
        try (JobSender jobs = new JobSender(broker.bootstrap(), topic, Map.of())) {
            for (int i = 0; i < 400; i++) {
                ids.add(topic + "-" + i);
                jobs.send(topic + "-" + i, "hello");
            }
            jobs.flush();
        }

        fake.await(stats -> stats.inFlight() == 64, PATIENCE);
        replies.awaitOutcomes(ids, PATIENCE);

        assertThat(fake.stats().maxInFlight()).isEqualTo(64);
    }

    @Test
    void a_burst_that_a_sticky_producer_put_on_one_partition_uses_every_slot() throws InterruptedException {
        hold(Answer.tokens(1).firstTokenAfter(Duration.ofMillis(200)));
        List<String> ids = send("sticky", 500, "hello", Map.of("linger.ms", 100, "batch.size", 1_000_000));

        Stats full = fake.await(stats -> stats.inFlight() == 64, PATIENCE);

        System.out.printf("500 jobs: all 64 slots busy after %d had ended%n", full.finished());
        assertThat(full.finished()).isLessThan(64);
        replies.awaitOutcomes(ids, PATIENCE);
    }

    @Test
    void a_long_job_at_the_head_of_a_partition_holds_up_nobody() throws InterruptedException {
        List<String> shortOnes = new ArrayList<>();
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.sendRaw(
                    0, JobSender.chat("head-long", "[[tokens=60 delay=1000]]").getBytes(StandardCharsets.UTF_8));
            jobs.flush();
            for (int i = 0; i < 1500; i++) {
                String id = "head-" + i;
                jobs.sendRaw(0, JobSender.chat(id, "[[tokens=2]]").getBytes(StandardCharsets.UTF_8));
                shortOnes.add(id);
            }
            jobs.flush();
        }

        replies.awaitOutcomes(shortOnes, PATIENCE);

        assertThat(replies.reading("head-long").isClosed())
                .as("the job of 60 s still runs")
                .isFalse();
        assertThat(replies.outcomes(shortOnes)).isEqualTo(Map.of("completed", 1500));
    }

    private static List<String> send(String name, int count, String prompt, Map<String, Object> producer)
            throws InterruptedException {
        List<String> ids = new ArrayList<>();
        try (JobSender jobs = new JobSender(broker.bootstrap(), "prompt-jobs", producer)) {
            for (int i = 0; i < count; i++) {
                ids.add(name + "-" + i);
                jobs.send(name + "-" + i, prompt);
            }
            jobs.flush();
        }
        return ids;
    }
}
