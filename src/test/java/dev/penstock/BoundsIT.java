package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.ShareLag;
import dev.penstock.testkit.Vitals;
import dev.penstock.testkit.upstream.Answer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The memory, the connections and the part of a partition's window that a replica takes are bounded, whatever comes.
 */
@Tag("long")
class BoundsIT {
    private static final Duration PATIENCE = Duration.ofMinutes(3);
    private static final int MEGABYTE = 1 << 20;
    private static final int HEAP_MEGABYTES = 256;
    private static final double NEARLY_FULL = 0.8;
    private static final String LEDGER_LAG = "penstock_ledger_lag_seconds";
    /** -Dpenstock.test.queued=100000 for more; they take some minutes. */
    private static final int QUEUED = Integer.getInteger("penstock.test.queued", 15_000);

    private Rig rig;

    @BeforeEach
    void start() {
        rig = Rig.start("bounds");
    }

    @AfterEach
    void stop() {
        rig.close();
    }

    @Test
    void a_long_job_at_the_head_of_a_small_window_is_told_and_the_rest_goes_on() throws InterruptedException {
        rig.broker().setGroup("penstock.prompt-jobs", "share.partition.max.record.locks", "100");
        PenstockProcess replica = rig.start(rig.replica("replica", 64).config("penstock.intake.mode", "share"));
        List<String> behind = Rig.ids("behind", 400);
        List<String> others = Rig.ids("other", 400);
        try (JobSender jobs = new JobSender(rig.broker().bootstrap())) {
            jobs.sendRaw(0, document("head", "[[tokens=60 delay=1000]]"));
            jobs.flush();
            behind.forEach(id -> jobs.sendRaw(0, document(id, "[[tokens=2]]")));
            others.forEach(id -> jobs.sendRaw(1, document(id, "[[tokens=2]]")));
            jobs.flush();
        }

        rig.replies().awaitOutcomes(others, PATIENCE);
        String gauge = "penstock_intake_window_used{partition=\"0\",topic=\"prompt-jobs\"}";
        // the broker's figure for the other partition may be one write old
        String warning = replica.process()
                .awaitLine(line -> line.contains("partition prompt-jobs-0 delivers nothing more"), PATIENCE);
        JsonNode ready = Rest.get(replica.managementUrl(), "/q/health/ready").json();

        double used = Metrics.await(replica, gauge, "is nearly full", value -> value > NEARLY_FULL, PATIENCE);
        System.out.printf("a window of 100 behind a job of 60 s: %s %.2f%n%s%n", gauge, used, warning);
        assertThat(warning).contains("penstock.intake.topics", "share.partition.max.record.locks=200");
        assertThat(ready.toString()).contains("warning.window.prompt-jobs-0");
        assertThat(rig.replies().reading("head").isClosed()).isFalse();
        rig.replies().awaitOutcomes(List.of("head"), PATIENCE);
        rig.replies().awaitOutcomes(behind, PATIENCE);
        assertThat(rig.replies().outcomes(behind)).isEqualTo(Map.of("completed", 400));
        // the broker's figures for a group may be one write old (4.3.1), so the value need not return to 0
        var _ = Metrics.await(replica, gauge, "is no longer nearly full", value -> value < NEARLY_FULL, PATIENCE);
    }

    @Test
    void the_largest_jobs_take_no_more_memory_than_there_is() throws InterruptedException {
        rig.fake().script(_ -> Answer.tokens(1).firstTokenAfter(Duration.ofMillis(300)));
        PenstockProcess replica = rig.start(rig.replica("replica", 64).runtimeOption("-Xmx512m"));
        List<String> ids = Rig.ids("large", 150);
        String filling = "x".repeat(4 * MEGABYTE);

        double most = 0;
        try (JobSender jobs =
                new JobSender(rig.broker().bootstrap(), "prompt-jobs", Map.of("buffer.memory", 64L * MEGABYTE))) {
            for (String id : ids) {
                jobs.sendRaw(null, document(id, filling));
            }
            jobs.flush();
        }
        while (!ids.stream().allMatch(id -> rig.replies().reading(id).isClosed())) {
            assertThat(replica.process().isAlive()).isTrue();
            most = Math.max(
                    most, Metrics.value(replica, "penstock_intake_bytes").orElse(0));
            TimeUnit.MILLISECONDS.sleep(100);
        }

        System.out.printf(
                "150 jobs of 4 MiB, a heap of 512 MiB: at most %.0f MiB in hand, %s%n",
                most / MEGABYTE, rig.replies().outcomes(ids));
        assertThat(rig.replies().outcomes(ids)).isEqualTo(Map.of("completed", 150));
        assertThat(rig.startedAgain(ids)).isZero();
    }

    /**
     * The chunks have the whole answer, also for a job that wants none, and polling shows that the outcome does not.
     */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void an_answer_larger_than_a_record_is_whole_in_the_chunks(boolean stream) throws InterruptedException {
        List<String> words = Collections.nCopies(4_000, "a word of 24 characters ");
        rig.fake().script(request -> request.prompt().equals("much") ? Answer.tokens(words) : Answer.tokens(100));
        PenstockProcess replica = rig.start(rig.replica("replica", 4).config("penstock.kafka.max-record", "65536"));
        try (JobSender jobs = new JobSender(rig.broker().bootstrap())) {
            jobs.sendRaw(null, streamed("long", "much", stream));
            jobs.sendRaw(null, streamed("short", "little", stream));
            jobs.flush();
        }

        rig.replies().awaitOutcomes(List.of("long", "short"), PATIENCE);

        assertThat(rig.replies().outcome("long").json().at("/job/truncated").asBoolean())
                .isTrue();
        assertThat(rig.replies().chunkText("long")).isEqualTo(String.join("", words));
        assertThat(rig.replies().outcome("short").json().at("/job/truncated").asBoolean())
                .isFalse();
        Rest.Reply polled = Rest.get(replica.url(), "/v1/jobs/long", "Prefer", "wait=30");
        assertThat(polled.json().at("/response/truncated").asBoolean())
                .as(polled.body())
                .isTrue();
    }

    private static byte[] streamed(String id, String prompt, boolean stream) {
        return "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"stream\":%s,\"job\":{\"id\":\"%s\"}}"
                .formatted(prompt, stream, id)
                .getBytes(StandardCharsets.UTF_8);
    }

    @Tag("alone")
    @Test
    void a_long_queue_takes_no_more_memory_than_a_short_one() throws InterruptedException, IOException {
        PenstockProcess replica =
                rig.start(rig.replica("replica", 64).runtimeOption("-Xmx%dm".formatted(HEAP_MEGABYTES)));
        // all have the same size: each consumer keeps the last that it fetched
        String filling = "x".repeat(10_000);
        double memoryBefore = 0;
        // an executable takes its permitted memory little by little
        for (int round = 0; round < (isJar() ? 1 : 3); round++) {
            List<String> warm = Rig.ids("warm-" + round, 8_000);
            // a queue as well, so that as many consumers join as with a long queue
            replica.process().freeze();
            rig.send(warm, "[[tokens=2]] " + filling);
            replica.process().thaw();
            rig.replies().awaitOutcomes(warm, PATIENCE);
            Metrics.await(replica, LEDGER_LAG, 0, PATIENCE);
            memoryBefore = Math.max(memoryBefore, memory(replica));
        }
        byte[] job = "{\"messages\":[{\"role\":\"user\",\"content\":\"[[tokens=2]] %s\"}]}"
                .formatted(filling)
                .getBytes(StandardCharsets.UTF_8);
        List<Long> tenths = new ArrayList<>();
        double memoryAfter;
        long before = rig.fake().stats().finished();
        try (JobSender jobs = new JobSender(rig.broker().bootstrap());
                Admin admin = rig.broker().admin()) {
            // all of them are queued before the first is taken
            replica.process().freeze();
            for (int i = 0; i < QUEUED; i++) {
                jobs.sendRaw(null, job);
            }
            jobs.flush();
            replica.process().thaw();
            for (int tenth = 1; tenth <= 10; tenth++) {
                long wanted = before + (long) QUEUED * tenth / 10;
                rig.fake().await(stats -> stats.finished() >= wanted, Duration.ofMinutes(5));
                tenths.add(System.nanoTime());
            }
            ShareLag.awaitNone(admin, "penstock.prompt-jobs", PATIENCE);
            Metrics.await(replica, LEDGER_LAG, 0, PATIENCE);
            memoryAfter = memory(replica);
        }

        double first = QUEUED * 0.4 / seconds(tenths.get(0), tenths.get(4));
        double last = QUEUED * 0.4 / seconds(tenths.get(5), tenths.get(9));
        System.out.printf(
                "%,d queued jobs of 10 kB: %.0f MiB before, %.0f MiB after (%.2f); %.0f jobs/s in the 2nd to 5th tenth, %.0f in the 7th to 10th (%.2f)%n",
                QUEUED,
                memoryBefore / MEGABYTE,
                memoryAfter / MEGABYTE,
                memoryAfter / memoryBefore,
                first,
                last,
                last / first);
        assertThat(Metrics.value(
                        replica,
                        "penstock_jobs_total{backend=\"vllm\",outcome=\"completed\",pool=\"gpu\",task=\"chat\"}"))
                .hasValue((double) before + QUEUED);
        // and may have its heap whole
        double allowed = isJar() ? memoryBefore : Math.max(memoryBefore, HEAP_MEGABYTES * MEGABYTE);
        assertThat(memoryAfter).isLessThan(1.2 * allowed);
        assertThat(last).as("the goal is 0.95; a busy machine has its share").isGreaterThan(0.7 * first);
    }

    private static boolean isJar() {
        return PenstockProcess.isJar(PenstockProcess.defaultExecutable());
    }

    /**
     * Bytes: the live part of a JVM's heap; the resident memory of a native executable, whose collection no test can
     * request.
     */
    private static double memory(PenstockProcess replica) throws InterruptedException, IOException {
        if (!isJar()) {
            return (double) Vitals.of(replica.pid()).residentMegabytes() * MEGABYTE;
        }
        for (int i = 0; i < 2; i++) {
            new ProcessBuilder(System.getProperty("java.home") + "/bin/jcmd", Long.toString(replica.pid()), "GC.run")
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start()
                    .waitFor();
        }
        return Metrics.text(replica)
                .lines()
                .filter(line -> line.startsWith("jvm_memory_used_bytes{area=\"heap\""))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.indexOf("} ") + 2)))
                .sum();
    }

    private static double seconds(long from, long to) {
        return (to - from) / 1e9;
    }

    private static byte[] document(String id, String prompt) {
        return JobSender.chat(id, prompt).getBytes(StandardCharsets.UTF_8);
    }
}
