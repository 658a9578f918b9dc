package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Postgres;
import dev.penstock.testkit.Records;
import dev.penstock.testkit.ReplyLog;
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
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A queue that holds: pools that are down or full, priorities, a drain, a job that ends its process. */
class QueueIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final int SLOTS = 64;

    private Broker broker;
    private Postgres postgres;
    private FakeUpstream gpu;
    private FakeUpstream cpu;
    private @Nullable ReplyLog followed;
    private final List<PenstockProcess> processes = new ArrayList<>();

    @BeforeEach
    void startParts() {
        broker = Broker.start();
        postgres = Postgres.start("queue");
        gpu = FakeUpstream.start();
        cpu = FakeUpstream.start();
    }

    @AfterEach
    void stopParts() {
        processes.forEach(PenstockProcess::kill9);
        if (followed != null) {
            followed.close();
        }
        gpu.close();
        cpu.close();
        postgres.close();
        broker.close();
    }

    @Test
    @Tag("long")
    void a_pool_that_is_down_holds_up_no_other() throws InterruptedException {
        gpu.stop();
        start(twoPools());
        double alone = alone();
        List<String> blocked = ids("down", 5000);
        List<String> others = ids("other", 500);
        send(blocked, "gpu", "[[tokens=1]]");

        long start = System.nanoTime();
        send(others, "cpu", "[[tokens=1 first=5000]]");
        replies().awaitOutcomes(others, PATIENCE);

        double seconds = seconds(start);
        System.out.printf(
                "500 jobs of 5 s behind 5,000 for a pool that is down: %.1f s, alone %.1f s%n", seconds, alone);
        assertThat(seconds).isLessThan(1.5 * alone);
        assertThat(replies().outcomes(others)).isEqualTo(Map.of("completed", 500));

        gpu.restart();
        replies().awaitOutcomes(blocked, Duration.ofMinutes(4));
        assertThat(replies().outcomes(blocked)).isEqualTo(Map.of("completed", 5000));
        assertRanOnce(blocked);
    }

    @Test
    @Tag("long")
    void a_pool_that_is_full_holds_up_no_other() throws InterruptedException {
        start(twoPools());
        double alone = alone();
        AtomicBoolean slow = new AtomicBoolean(true);
        gpu.script(_ -> Answer.tokens(1).firstTokenAfter(slow.get() ? Duration.ofSeconds(15) : Duration.ZERO));
        List<String> blocked = ids("full", 5000);
        List<String> others = ids("other", 500);
        send(blocked, "gpu", "x");

        long start = System.nanoTime();
        send(others, "cpu", "[[tokens=1 first=5000]]");
        replies().awaitOutcomes(others, PATIENCE);

        double seconds = seconds(start);
        System.out.printf(
                "500 jobs of 5 s behind 5,000 for a pool that is full: %.1f s, alone %.1f s%n", seconds, alone);
        assertThat(seconds).isLessThan(1.5 * alone);

        slow.set(false);
        replies().awaitOutcomes(blocked, Duration.ofMinutes(4));
        assertThat(replies().outcomes(blocked)).isEqualTo(Map.of("completed", 5000));
        assertRanOnce(blocked);
    }

    @Test
    void high_goes_first_and_low_keeps_its_share() throws InterruptedException {
        start(onePool("replica", SLOTS));
        cpu.script(_ -> Answer.tokens(1).firstTokenAfter(Duration.ofMillis(500)));
        List<String> low = ids("low", 10_000);
        try (JobSender jobs = new JobSender(broker.bootstrap(), "prompt-jobs-low", Map.of())) {
            low.forEach(id -> jobs.send(id, "low"));
            jobs.flush();
        }
        cpu.awaitInFlight(SLOTS, PATIENCE);

        List<Integer> between = new ArrayList<>();
        try (JobSender jobs = new JobSender(broker.bootstrap(), "prompt-jobs-high", Map.of())) {
            for (int i = 0; i < 20; i++) {
                String id = "high-" + i;
                jobs.send(id, "high");
                long recordTime = jobs.flush().getLast().timestamp();
                replies().awaitOutcomes(List.of(id), PATIENCE);
                long startedTime = replies()
                        .awaitEvent(id, event -> event.mark().kind() == EventMark.Kind.STARTED, PATIENCE)
                        .timestamp();
                between.add((int) low.stream()
                        .flatMap(job -> replies().all(job).stream())
                        .filter(event -> event.mark().kind() == EventMark.Kind.STARTED)
                        .filter(event -> event.timestamp() > recordTime && event.timestamp() < startedTime)
                        .count());
            }
        }

        long lowDone =
                low.stream().filter(id -> replies().reading(id).isClosed()).count();
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
        PenstockProcess leaving = start(onePool("leaving", 200).config("penstock.drain.timeout", "30s"));
        List<String> shortOnes = ids("short", 100);
        List<String> longOnes = ids("long", 100);
        send(shortOnes, "cpu", "short");
        send(longOnes, "cpu", "long");
        cpu.awaitInFlight(200, PATIENCE);
        start(onePool("staying", 200));

        long asked = System.currentTimeMillis();
        leaving.terminate();

        List<String> all = new ArrayList<>(shortOnes);
        all.addAll(longOnes);
        replies().awaitOutcomes(all, PATIENCE);
        assertThat(leaving.process().awaitExit(PATIENCE)).hasValue(143);
        assertThat(replies().outcomes(all)).isEqualTo(Map.of("completed", 200));
        shortOnes.forEach(id ->
                assertThat(replies().count(id, EventMark.Kind.STARTED)).as(id).isEqualTo(1));
        long latest = 0;
        for (String id : longOnes) {
            List<ReplyLog.Event> starts = replies().all(id).stream()
                    .filter(event -> event.mark().kind() == EventMark.Kind.STARTED)
                    .toList();
            assertThat(starts).as(id).hasSize(2);
            assertThat(replies().chunkText(id)).isEqualTo(replies().completedText(id));
            latest = Math.max(latest, starts.getLast().timestamp() - asked);
        }
        System.out.printf(
                "SIGTERM with 200 running, drain 30 s: 100 handed back, the last of them started again %d ms after SIGTERM%n",
                latest);
        assertThat(latest)
                .as("a lock that was just renewed would last 30 s more")
                .isLessThan(45_000);
    }

    @Test
    @Tag("long")
    void a_job_that_ends_its_process_is_found_and_those_beside_it_are_not_blamed() throws InterruptedException {
        AtomicReference<PenstockProcess> running = new AtomicReference<>();
        AtomicInteger deaths = new AtomicInteger();
        cpu.script(request -> {
            if (request.prompt().equals("poison")) {
                deaths.incrementAndGet();
                running.get().kill9();
            }
            return Answer.tokens(10).every(Duration.ofSeconds(1));
        });
        List<String> innocent = ids("innocent", 63);
        running.set(start(onePool("victim", SLOTS)));
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
                        running.set(start(onePool("victim", SLOTS)));
                    }
                }
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });
        try {
            replies().awaitOutcomes(all, Duration.ofMinutes(6));
        } finally {
            over.set(true);
            supervisor.join();
        }

        System.out.printf("the process died %d times of the poisonous job%n", deaths.get());
        assertThat(replies().outcomes(innocent)).isEqualTo(Map.of("completed", 63));
        assertThat(replies().outcome("guilty").json().path("error").path("code").asText())
                .isEqualTo("poison");
        assertThat(Records.all(broker.bootstrap(), "prompt-jobs-dlq"))
                .singleElement()
                .satisfies(record -> assertThat(record.value()).isEqualTo(document("guilty", "cpu", "poison")));
    }

    /** What 500 jobs of 5 s take on 64 slots with nothing else there; 40 s where nothing costs anything. */
    private double alone() throws InterruptedException {
        List<String> ids = ids("alone", 500);
        long start = System.nanoTime();
        send(ids, "cpu", "[[tokens=1 first=5000]]");
        replies().awaitOutcomes(ids, PATIENCE);
        return seconds(start);
    }

    private PenstockProcess.Builder twoPools() {
        return onePool("replica", SLOTS)
                .node("gpu-a", "vllm", URI.create(gpu.url()), SLOTS)
                .config("penstock.intake.slots", Integer.toString(2 * SLOTS));
    }

    private PenstockProcess.Builder onePool(String name, int slots) {
        return PenstockProcess.with(broker.bootstrap())
                .name(name)
                .ledger(postgres)
                .config("penstock.intake.slots", Integer.toString(slots))
                .config("penstock.nodes.cpu-a.pool", "cpu")
                .node("cpu-a", "vllm", URI.create(cpu.url()), slots);
    }

    private synchronized PenstockProcess start(PenstockProcess.Builder builder) throws InterruptedException {
        PenstockProcess started = builder.startReady();
        processes.add(started);
        return started;
    }

    private ReplyLog replies() {
        ReplyLog known = followed;
        if (known == null) {
            known = ReplyLog.follow(broker.bootstrap());
            followed = known;
        }
        return known;
    }

    private void send(List<String> ids, String pool, String prompt) throws InterruptedException {
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
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
        ids.forEach(id ->
                assertThat(replies().count(id, EventMark.Kind.STARTED)).as(id).isEqualTo(1));
    }

    private static List<String> ids(String name, int count) {
        return IntStream.range(0, count).mapToObj(i -> name + "-" + i).toList();
    }

    private static double seconds(long start) {
        return (System.nanoTime() - start) / 1e9;
    }
}
