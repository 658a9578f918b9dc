package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.KafkaProxy;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.ShareLag;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import org.apache.kafka.clients.admin.Admin;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * One job, and a failure in each window of its life: the process is killed, or its connections to the broker are cut.
 */
class CrashIT {
    private static final Duration PATIENCE = Duration.ofSeconds(90);

    private static Broker broker;
    private static KafkaProxy proxy;
    private static FakeUpstream fake;
    private static ReplyLog replies;
    private PenstockProcess penstock;

    /** The point of a job's life where it fails, and how often the job may run at most. */
    enum Window {
        BEFORE_STARTED(1),
        IN_MID_CHUNK(2),
        OUTCOME_SENT(2),
        OUTCOME_ON_THE_BROKER(1),
        ACKNOWLEDGED(1);

        private final int runs;

        Window(int runs) {
            this.runs = runs;
        }
    }

    @BeforeAll
    static void startParts() throws InterruptedException {
        int port = Broker.freePort();
        broker = Broker.behindProxy(port);
        proxy = KafkaProxy.start(port, broker.proxiedPort());
        fake = FakeUpstream.start();
        try (PenstockProcess first = start()) {
            assertThat(first.process().isAlive()).isTrue();
        }
        replies = ReplyLog.follow(broker.bootstrap());
    }

    @AfterAll
    static void stopParts() {
        replies.close();
        fake.close();
        proxy.close();
        broker.close();
    }

    @BeforeEach
    void startPenstock() throws InterruptedException {
        proxy.thaw();
        fake.reset();
        penstock = start();
    }

    @AfterEach
    void stopPenstock() {
        proxy.thaw();
        penstock.close();
    }

    @ParameterizedTest
    @EnumSource
    void the_process_is_killed(Window window) throws InterruptedException {
        String id = "killed-" + window.name();
        reach(window, id);

        penstock.kill9();

        proxy.cut();
        fake.restart();
        penstock = start();
        assertEndsOnce(id, window);
    }

    @ParameterizedTest
    @EnumSource
    void the_connections_to_the_broker_are_cut(Window window) throws InterruptedException {
        String id = "cut-" + window.name();
        reach(window, id);

        proxy.cut();

        fake.restart();
        assertEndsOnce(id, window);
    }

    /** Brings a job to the point of the failure. */
    private void reach(Window window, String id) throws InterruptedException {
        // on a slow machine too, a chunk is on the broker long before the answer ends
        fake.script(request -> Answer.unicode(12).every(Duration.ofMillis(300)));
        switch (window) {
            case BEFORE_STARTED -> {
                fake.stop();
                Metrics.await(penstock, "penstock_node_up{node=\"fake\"}", 0, PATIENCE);
                send(id);
                Metrics.await(penstock, "penstock_jobs_waiting{priority=\"normal\"}", 1, PATIENCE);
            }
            case IN_MID_CHUNK -> {
                send(id);
                replies.awaitEvent(id, event -> event.mark().kind() == EventMark.Kind.CHUNK, PATIENCE);
            }
            case OUTCOME_SENT -> {
                send(id);
                replies.awaitEvent(id, event -> event.mark().kind() == EventMark.Kind.CHUNK, PATIENCE);
                proxy.freeze("penstock-replies");
                proxy.awaitHeld(PATIENCE);
                fake.awaitInFlight(0, PATIENCE);
            }
            case OUTCOME_ON_THE_BROKER -> {
                send(id);
                replies.awaitEvent(id, event -> event.mark().kind() == EventMark.Kind.CHUNK, PATIENCE);
                // Kafka's share consumers, or Penstock's own share client
                proxy.freeze("penstock-prompt-jobs", "penstock-intake");
                replies.awaitOutcomes(List.of(id), PATIENCE);
                proxy.awaitHeld(PATIENCE);
            }
            case ACKNOWLEDGED -> {
                send(id);
                replies.awaitOutcomes(List.of(id), PATIENCE);
                awaitNoLag();
            }
        }
    }

    private void assertEndsOnce(String id, Window window) throws InterruptedException {
        replies.awaitOutcomes(List.of(id), PATIENCE);
        awaitNoLag();
        // any further event would precede the outcome of a later job on its partition
        String later = id + "-later";
        send(later);
        replies.awaitOutcomes(List.of(later), PATIENCE);
        awaitNoLag();

        long runs = fake.requests().stream()
                .filter(request -> request.request().prompt().equals(id))
                .count();
        System.out.printf(
                "%s: %d run(s), outcome of attempt %d%n",
                id, runs, replies.reading(id).attempt());
        assertThat(replies.outcome(id).mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(replies.chunkText(id)).isEqualTo(replies.completedText(id)).isNotEmpty();
        assertThat(runs).isBetween(1L, (long) window.runs);
    }

    private static void send(String id) throws InterruptedException {
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.send(id, id);
            jobs.flush();
        }
    }

    private static void awaitNoLag() throws InterruptedException {
        try (Admin admin = broker.admin()) {
            ShareLag.awaitNone(admin, "penstock.prompt-jobs", PATIENCE);
        }
    }

    private static PenstockProcess start() throws InterruptedException {
        return PenstockProcess.with(proxy.bootstrap())
                .node("fake", "vllm", URI.create(fake.url()), 2 * 64)
                .startReady();
    }
}
