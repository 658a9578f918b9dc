package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Postgres;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Jobs by classic consumer groups, for brokers without share groups, and the way from one mode to the other. */
class ClassicIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final int SLOTS = 64;

    private Broker broker;
    private Postgres postgres;
    private FakeUpstream fake;
    private @Nullable ReplyLog followed;
    private final List<PenstockProcess> processes = new ArrayList<>();

    @BeforeEach
    void startParts() {
        broker = Broker.start();
        postgres = Postgres.start("classic");
        fake = FakeUpstream.start();
    }

    @AfterEach
    void stopParts() {
        processes.forEach(PenstockProcess::kill9);
        if (followed != null) {
            followed.close();
        }
        fake.close();
        postgres.close();
        broker.close();
    }

    @Test
    void jobs_run_once_each_on_every_slot_and_a_long_one_holds_up_nobody()
            throws InterruptedException, ExecutionException {
        PenstockProcess only = start("only", "classic");
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            jobs.sendRaw(0, JobSender.chat("head", "[[tokens=40 delay=1000]]").getBytes(StandardCharsets.UTF_8));
            jobs.flush();
        }
        List<String> ids = ids("job", 1500);
        long start = System.nanoTime();
        send(ids, "[[tokens=5 first=100 delay=50]]");

        replies().awaitOutcomes(ids, PATIENCE);

        System.out.printf(
                "classic: 1,500 jobs of 300 ms on 64 slots: %.1f s, ideal 7.0 s%n", (System.nanoTime() - start) / 1e9);
        assertThat(replies().reading("head").isClosed()).isFalse();
        ids.forEach(id ->
                assertThat(replies().count(id, EventMark.Kind.STARTED)).as(id).isEqualTo(1));
        assertThat(fake.stats().maxInFlight()).isEqualTo(SLOTS);
        replies().awaitOutcomes(List.of("head"), PATIENCE);
        assertThat(replies().count("head", EventMark.Kind.STARTED)).isEqualTo(1);
        awaitCommitted();
        assertThat(only.process().isAlive()).isTrue();
    }

    @Test
    void a_replica_that_is_killed_loses_nothing_and_one_that_stops_hands_back() throws InterruptedException {
        fake.script(_ -> Answer.tokens(20).every(Duration.ofMillis(300)));
        PenstockProcess killed = start("killed", "classic");
        PenstockProcess stopped = start("stopped", "classic");
        List<String> ids = ids("job", 300);
        send(ids, "x");
        fake.await(stats -> stats.inFlight() >= SLOTS, PATIENCE);

        killed.kill9();
        start("third", "classic");
        stopped.terminate();

        replies().awaitOutcomes(ids, PATIENCE);
        assertThat(replies().outcomes(ids)).isEqualTo(Map.of("completed", 300));
        long twice = ids.stream()
                .filter(id -> replies().count(id, EventMark.Kind.STARTED) > 1)
                .count();
        System.out.printf("classic: one replica killed, one stopped: %d of 300 jobs started twice%n", twice);
        assertThat(twice).isLessThanOrEqualTo(2 * SLOTS);
        ids.forEach(
                id -> assertThat(replies().chunkText(id)).isEqualTo(replies().completedText(id)));
    }

    @Test
    void the_mode_stays_until_it_is_migrated() throws InterruptedException {
        PenstockProcess share = start("share", "auto");
        send(ids("first", 20), "[[tokens=2]]");
        replies().awaitOutcomes(ids("first", 20), PATIENCE);

        PenstockProcess refused = builder("refused", "classic").start();
        assertThat(refused.process().awaitExit(PATIENCE)).hasValue(1);
        assertThat(String.join("\n", refused.process().output())).contains("penstock intake migrate");
        assertThat(migrate("classic").awaitExit(PATIENCE)).as("a replica runs").hasValue(5);

        stop(share);
        send(ids("between", 20), "[[tokens=2]]");
        assertThat(migrate("classic").awaitExit(PATIENCE)).hasValue(0);
        PenstockProcess classic = start("classic", "auto");
        assertThat(String.join("\n", classic.process().output())).contains("classic mode");
        send(ids("second", 20), "[[tokens=2]]");
        replies().awaitOutcomes(ids("between", 20), PATIENCE);
        replies().awaitOutcomes(ids("second", 20), PATIENCE);

        stop(classic);
        assertThat(migrate("share").awaitExit(PATIENCE)).hasValue(0);
        PenstockProcess again = start("again", "share");
        assertThat(String.join("\n", again.process().output())).contains("share mode");
        send(ids("third", 20), "[[tokens=2]]");
        replies().awaitOutcomes(ids("third", 20), PATIENCE);
        for (String name : List.of("first", "between", "second", "third")) {
            ids(name, 20)
                    .forEach(id -> assertThat(replies().count(id, EventMark.Kind.STARTED))
                            .as(id)
                            .isEqualTo(1));
        }
    }

    private ChildProcess migrate(String mode) throws InterruptedException {
        return ClientIT.run(List.of("intake", "migrate", "--kafka", broker.bootstrap(), "--to", mode));
    }

    private static void stop(PenstockProcess process) throws InterruptedException {
        process.terminate();
        assertThat(process.process().awaitExit(PATIENCE)).hasValue(143);
    }

    /** The group has told that everything is done. */
    private void awaitCommitted() throws InterruptedException, ExecutionException {
        try (Admin admin = broker.admin()) {
            long until = System.nanoTime() + PATIENCE.toNanos();
            while (true) {
                Map<TopicPartition, OffsetAndMetadata> committed = admin.listConsumerGroupOffsets(
                                "penstock.prompt-jobs")
                        .partitionsToOffsetAndMetadata()
                        .get();
                boolean all = true;
                for (int partition = 0; partition < 4; partition++) {
                    TopicPartition place = new TopicPartition("prompt-jobs", partition);
                    long end = admin.listOffsets(Map.of(place, OffsetSpec.latest()))
                            .partitionResult(place)
                            .get()
                            .offset();
                    OffsetAndMetadata offset = committed.get(place);
                    all &= offset != null && offset.offset() == end;
                }
                if (all) {
                    return;
                }
                assertThat(System.nanoTime()).as("committed: %s", committed).isLessThan(until);
            }
        }
    }

    private PenstockProcess.Builder builder(String name, String mode) {
        return PenstockProcess.with(broker.bootstrap())
                .name(name)
                .ledger(postgres)
                .config("penstock.intake.mode", mode)
                .config("penstock.drain.timeout", "2s")
                .node("fake", "vllm", URI.create(fake.url()), SLOTS);
    }

    private PenstockProcess start(String name, String mode) throws InterruptedException {
        PenstockProcess started = builder(name, mode).startReady();
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

    private void send(List<String> ids, String prompt) throws InterruptedException {
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            ids.forEach(id -> jobs.send(id, prompt));
            jobs.flush();
        }
    }

    private static List<String> ids(String name, int count) {
        return IntStream.range(0, count).mapToObj(i -> name + "-" + i).toList();
    }
}
