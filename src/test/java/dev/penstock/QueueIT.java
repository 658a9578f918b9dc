package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Records;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A queue that holds jobs: for pools that are down or full, by priority, through a drain, and past a job that ends its
 * process.
 */
@Tag("long")
class QueueIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final int SLOTS = 64;
    /** -Dpenstock.test.others=500 for more; they take 40 s on 64 slots. */
    private static final int OTHERS = Integer.getInteger("penstock.test.others", 128);

    /** -Dpenstock.test.blocked=5000 for as many. */
    private static final int BLOCKED = Integer.getInteger("penstock.test.blocked", 1_500);

    private Rig rig;
    private FakeUpstream gpu;
    private FakeUpstream cpu;

    @BeforeEach
    void startParts() {
        rig = Rig.start("queue");
        gpu = FakeUpstream.start();
        cpu = rig.fake();
    }

    @AfterEach
    void stopParts() {
        rig.close();
        gpu.close();
    }

    @Tag("alone")
    @Test
    void a_pool_that_is_down_holds_up_no_other() throws InterruptedException {
        gpu.stop();
        rig.start(twoPools());
        double alone = alone();
        List<String> blocked = Rig.ids("down", BLOCKED);
        List<String> others = Rig.ids("other", OTHERS);
        send(blocked, "gpu", "[[tokens=1]]");

        long start = System.nanoTime();
        send(others, "cpu", "[[tokens=1 first=5000]]");
        rig.replies().awaitOutcomes(others, PATIENCE);

        double seconds = Rig.seconds(start);
        System.out.printf(
                "%d jobs of 5 s behind %,d for a pool that is down: %.1f s, alone %.1f s%n",
                OTHERS, BLOCKED, seconds, alone);
        assertThat(seconds).isLessThan(1.5 * alone);
        assertThat(rig.replies().outcomes(others)).isEqualTo(Map.of("completed", OTHERS));

        gpu.restart();
        rig.replies().awaitOutcomes(blocked, Duration.ofMinutes(4));
        assertThat(rig.replies().outcomes(blocked)).isEqualTo(Map.of("completed", BLOCKED));
        assertRanOnce(blocked);
    }

    @Tag("alone")
    @Test
    void a_pool_that_is_full_holds_up_no_other() throws InterruptedException {
        rig.start(twoPools());
        double alone = alone();
        AtomicBoolean slow = new AtomicBoolean(true);
        gpu.script(_ -> Answer.tokens(1).firstTokenAfter(slow.get() ? Duration.ofSeconds(15) : Duration.ZERO));
        List<String> blocked = Rig.ids("full", BLOCKED);
        List<String> others = Rig.ids("other", OTHERS);
        send(blocked, "gpu", "x");

        long start = System.nanoTime();
        send(others, "cpu", "[[tokens=1 first=5000]]");
        rig.replies().awaitOutcomes(others, PATIENCE);

        double seconds = Rig.seconds(start);
        System.out.printf(
                "%d jobs of 5 s behind %,d for a pool that is full: %.1f s, alone %.1f s%n",
                OTHERS, BLOCKED, seconds, alone);
        assertThat(seconds).isLessThan(1.5 * alone);

        slow.set(false);
        rig.replies().awaitOutcomes(blocked, Duration.ofMinutes(4));
        assertThat(rig.replies().outcomes(blocked)).isEqualTo(Map.of("completed", BLOCKED));
        assertRanOnce(blocked);
    }

    /** A few of them fill the memory for records in flight, long before they are too many to wait. */
    @Test
    void large_jobs_that_wait_for_a_full_pool_leave_room_for_another() throws InterruptedException {
        PenstockProcess replica = rig.start(twoPools()
                .config("penstock.nodes.gpu-a.max-in-flight", "1")
                .config("penstock.kafka.max-record", "1048576")
                .config("penstock.intake.max-bytes", "2M")
                .config("penstock.intake.park", "1s"));
        String filling = "x".repeat(700_000);
        send(List.of("holds"), "gpu", "[[tokens=1 first=180000]]");
        var _ = gpu.await(stats -> stats.inFlight() == 1, PATIENCE);
        List<String> large = Rig.ids("large", 6);
        send(large, "gpu", filling);
        List<String> others = Rig.ids("small", 20);
        send(others, "cpu", "hello");

        rig.replies().awaitOutcomes(others, PATIENCE);

        assertThat(rig.replies().reading("holds").isClosed())
                .as("the other pool is full still")
                .isFalse();
        assertThat(Rest.delete(replica.url(), "/v1/jobs/holds").status()).isEqualTo(202);
        rig.replies().awaitOutcomes(large, PATIENCE);
        assertThat(rig.replies().outcomes(large)).isEqualTo(Map.of("completed", large.size()));
    }

    /** They stay in flight all the while: only the reservation of the other topic lets its jobs through. */
    @Test
    void large_low_jobs_that_wait_leave_room_for_the_high_ones() throws InterruptedException {
        PenstockProcess replica = rig.start(twoPools()
                .config("penstock.nodes.gpu-a.max-in-flight", "1")
                .config("penstock.kafka.max-record", "1048576")
                .config("penstock.intake.max-bytes", "2M")
                .config("penstock.intake.park", "10m"));
        send("prompt-jobs-low", List.of("holds"), "gpu", "[[tokens=1 first=180000]]");
        var _ = gpu.await(stats -> stats.inFlight() == 1, PATIENCE);
        List<String> large = Rig.ids("large", 6);
        send("prompt-jobs-low", large, "gpu", "x".repeat(700_000));
        var _ = Metrics.await(
                replica, "penstock_intake_bytes", "all that low may have", bytes -> bytes > 1_700_000, PATIENCE);
        List<String> high = Rig.ids("high", 20);
        send("prompt-jobs-high", high, "cpu", "hello");

        rig.replies().awaitOutcomes(high, PATIENCE);

        assertThat(rig.replies().reading("holds").isClosed())
                .as("the low ones wait still")
                .isFalse();
        assertThat(Rest.delete(replica.url(), "/v1/jobs/holds").status()).isEqualTo(202);
        rig.replies().awaitOutcomes(large, PATIENCE);
        assertThat(rig.replies().outcomes(large)).isEqualTo(Map.of("completed", large.size()));
    }

    @Tag("alone")
    @Test
    void high_goes_first_and_low_keeps_its_share() throws InterruptedException {
        rig.start(onePool("replica", SLOTS));
        cpu.script(_ -> Answer.tokens(1).firstTokenAfter(Duration.ofMillis(500)));
        List<String> low = Rig.ids("low", 10_000);
        try (JobSender jobs = new JobSender(rig.broker().bootstrap(), "prompt-jobs-low", Map.of())) {
            low.forEach(id -> jobs.send(id, "low"));
            jobs.flush();
        }
        // the groups have their partitions by then, and the code is compiled
        var _ = cpu.await(stats -> stats.requests() > 2_000, PATIENCE);

        List<long[]> waits = new ArrayList<>();
        try (JobSender jobs = new JobSender(rig.broker().bootstrap(), "prompt-jobs-high", Map.of())) {
            for (int i = -3; i < 20; i++) {
                String id = "high-" + i;
                jobs.send(id, "high");
                long recordTime = jobs.flush().getLast().timestamp();
                rig.replies().awaitOutcomes(List.of(id), PATIENCE);
                long startedTime = rig.replies()
                        .awaitEvent(id, event -> event.mark().kind() == EventMark.Kind.STARTED, PATIENCE)
                        .timestamp();
                if (i >= 0) {
                    waits.add(new long[] {recordTime, startedTime});
                }
            }
        }

        List<Long> lowStarts = low.stream()
                .flatMap(job -> rig.replies().all(job).stream())
                .filter(event -> event.mark().kind() == EventMark.Kind.STARTED)
                .map(ReplyLog.Event::timestamp)
                .toList();
        List<Long> between = waits.stream()
                .map(wait -> lowStarts.stream()
                        .filter(time -> time > wait[0] && time < wait[1])
                        .count())
                .toList();
        long lowDone =
                low.stream().filter(id -> rig.replies().reading(id).isClosed()).count();
        System.out.printf(
                "low ones that started between a high one's record and its start: %s; low ones done meanwhile: %d%n",
                between, lowDone);
        assertThat(between).allMatch(count -> count <= SLOTS);
        assertThat(lowDone).isPositive();
    }

    @Test
    void a_stop_lets_jobs_end_and_hands_the_others_back() throws InterruptedException {
        cpu.script(request ->
                Answer.tokens(request.prompt().equals("long") ? 250 : 100).every(Duration.ofMillis(300)));
        PenstockProcess leaving = rig.start(onePool("leaving", 200).config("penstock.drain.timeout", "30s"));
        List<String> shortOnes = Rig.ids("short", 100);
        List<String> longOnes = Rig.ids("long", 100);
        send(shortOnes, "cpu", "short");
        send(longOnes, "cpu", "long");
        cpu.awaitInFlight(200, PATIENCE);
        rig.start(onePool("staying", 200));

        long asked = System.currentTimeMillis();
        leaving.terminate();

        List<String> all = new ArrayList<>(shortOnes);
        all.addAll(longOnes);
        rig.replies().awaitOutcomes(all, PATIENCE);
        assertThat(leaving.process().awaitExit(PATIENCE)).hasValue(143);
        assertThat(rig.replies().outcomes(all)).isEqualTo(Map.of("completed", 200));
        shortOnes.forEach(id -> assertThat(rig.replies().count(id, EventMark.Kind.STARTED))
                .as(id)
                .isEqualTo(1));
        long latest = 0;
        for (String id : longOnes) {
            List<ReplyLog.Event> starts = rig.replies().all(id).stream()
                    .filter(event -> event.mark().kind() == EventMark.Kind.STARTED)
                    .toList();
            assertThat(starts).as(id).hasSize(2);
            assertThat(rig.replies().chunkText(id)).isEqualTo(rig.replies().completedText(id));
            latest = Math.max(latest, starts.getLast().timestamp() - asked);
        }
        System.out.printf(
                "SIGTERM with 200 running, drain 30 s: 100 handed back, the last of them started again %d ms after SIGTERM%n",
                latest);
        assertThat(latest)
                .as("a lock that was just renewed would last 30 s more")
                .isLessThan(45_000);
    }

    @ParameterizedTest
    @ValueSource(strings = {"share", "classic"})
    void a_job_that_ends_its_process_is_found_and_those_beside_it_are_not_blamed(String mode)
            throws InterruptedException {
        AtomicReference<PenstockProcess> running = new AtomicReference<>();
        AtomicInteger deaths = new AtomicInteger();
        cpu.script(request -> {
            if (request.prompt().equals("poison")) {
                deaths.incrementAndGet();
                running.get().kill9();
            }
            return Answer.tokens(10).every(Duration.ofSeconds(1));
        });
        List<String> innocent = Rig.ids("innocent", 63);
        running.set(rig.start(onePool("victim", SLOTS).config("penstock.intake.mode", mode)));
        send(innocent, "cpu", "innocent");
        cpu.awaitInFlight(63, PATIENCE);
        send(List.of("guilty"), "cpu", "poison");

        List<String> all = new ArrayList<>(innocent);
        all.add("guilty");
        AtomicBoolean over = new AtomicBoolean();
        Thread supervisor = Thread.ofPlatform().start(() -> {
            try {
                while (!over.get()) {
                    if (running.get()
                                    .process()
                                    .awaitExit(Duration.ofMillis(200))
                                    .isPresent()
                            && !over.get()) {
                        running.set(rig.start(onePool("victim", SLOTS).config("penstock.intake.mode", mode)));
                    }
                }
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });
        try {
            rig.replies().awaitOutcomes(all, Duration.ofMinutes(6));
        } finally {
            over.set(true);
            supervisor.join();
        }

        System.out.printf(
                "%s: the process died %d times of the poisonous job; those beside it: %s%n",
                mode, deaths.get(), rig.replies().outcomes(innocent));
        assertThat(rig.replies().outcomes(innocent)).isEqualTo(Map.of("completed", 63));
        assertThat(rig.replies()
                        .outcome("guilty")
                        .json()
                        .path("error")
                        .path("code")
                        .asText())
                .isEqualTo("poison");
        assertThat(Records.all(rig.broker().bootstrap(), "prompt-jobs-dlq"))
                .singleElement()
                .satisfies(record -> assertThat(record.value()).isEqualTo(document("guilty", "cpu", "poison")));
    }

    /** The time that as many jobs of 5 s take on 64 slots without other load. */
    private double alone() throws InterruptedException {
        List<String> ids = Rig.ids("alone", OTHERS);
        long start = System.nanoTime();
        send(ids, "cpu", "[[tokens=1 first=5000]]");
        rig.replies().awaitOutcomes(ids, PATIENCE);
        return Rig.seconds(start);
    }

    private PenstockProcess.Builder twoPools() {
        return rig.replica("replica", SLOTS)
                .config("penstock.nodes.fake.pool", "cpu")
                .node("gpu-a", "vllm", URI.create(gpu.url()), SLOTS)
                .config("penstock.intake.slots", Integer.toString(2 * SLOTS));
    }

    private PenstockProcess.Builder onePool(String name, int slots) {
        return rig.replicaOf(2, name, slots).config("penstock.nodes.fake.pool", "cpu");
    }

    private void send(List<String> ids, String pool, String prompt) throws InterruptedException {
        send("prompt-jobs", ids, pool, prompt);
    }

    private void send(String topic, List<String> ids, String pool, String prompt) throws InterruptedException {
        try (JobSender jobs = new JobSender(rig.broker().bootstrap(), topic, Map.of())) {
            ids.forEach(id -> jobs.sendRaw(null, document(id, pool, prompt)));
            jobs.flush();
        }
    }

    private static byte[] document(String id, String pool, String prompt) {
        return "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"job\":{\"id\":\"%s\",\"pool\":\"%s\"}}"
                .formatted(prompt, id, pool)
                .getBytes(StandardCharsets.UTF_8);
    }

    private void assertRanOnce(List<String> ids) {
        ids.forEach(id -> assertThat(rig.replies().count(id, EventMark.Kind.STARTED))
                .as(id)
                .isEqualTo(1));
    }
}
