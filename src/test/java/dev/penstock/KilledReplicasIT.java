package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.BrokerProcess;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Postgres;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Under load, replicas are killed one after the other, or the broker is: no job is lost, and each has one outcome. */
@Tag("long")
class KilledReplicasIT {
    private static final Duration PATIENCE = Duration.ofMinutes(3);
    /** -Dpenstock.test.jobs=5000 for as many. */
    private static final int JOBS = Integer.getInteger("penstock.test.jobs", 2_000);
    /** -Dpenstock.test.replica-kills=20 for more; each takes ten seconds. */
    private static final int KILLS = Integer.getInteger("penstock.test.replica-kills", 2);

    private static final int SLOTS = 32;

    @ParameterizedTest
    @ValueSource(strings = {"share", "classic"})
    void one_of_three_replicas_is_killed_again_and_again(String mode) throws InterruptedException {
        Random random = new Random(1);
        try (BrokerProcess broker = BrokerProcess.start();
                Postgres postgres = Postgres.start("killed-" + mode);
                FakeUpstream fake = FakeUpstream.start()) {
            Random pace = new Random(2);
            fake.script(_ -> Answer.tokens(3).every(Duration.ofMillis(20 + pace.nextInt(400))));
            List<PenstockProcess> replicas = new ArrayList<>();
            for (int i = 0; i < 3; i++) {
                replicas.add(start(broker, postgres, fake, mode, i));
            }
            List<String> ids = ids("job");
            try (ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                    JobSender jobs = new JobSender(broker.bootstrap())) {
                int atKills = 0;
                for (int kill = 0; kill < KILLS; kill++) {
                    for (String id : ids.subList(kill * JOBS / KILLS, (kill + 1) * JOBS / KILLS)) {
                        jobs.send(id, "x");
                    }
                    jobs.flush();
                    int busy = SLOTS / 2;
                    fake.await(stats -> stats.inFlight() >= busy, PATIENCE);
                    int victim = random.nextInt(3);
                    replicas.get(victim).kill9();
                    // those that run, and those before them whose outcomes are in flight to the broker
                    atKills += 2 * SLOTS;
                    replicas.set(victim, start(broker, postgres, fake, mode, victim));
                }
                replies.awaitOutcomes(ids, PATIENCE);

                long twice = again(replies, ids);
                System.out.printf(
                        "%s: %d kills of one of three replicas over %,d jobs: %d started more than once, %s; deliveries at those that live: %s%n",
                        mode, KILLS, JOBS, twice, replies.outcomes(ids), deliveries(replicas));
                assertThat(replies.outcomes(ids)).isEqualTo(Map.of("completed", JOBS));
                assertThat(twice).isLessThanOrEqualTo(atKills);
                assertWhole(replies, ids);
            } finally {
                replicas.forEach(PenstockProcess::kill9);
            }
        }
    }

    @Test
    void the_broker_is_killed_and_comes_back() throws InterruptedException {
        int port = Broker.freePort();
        try (Postgres postgres = Postgres.start("broker-killed");
                FakeUpstream fake = FakeUpstream.start();
                BrokerProcess first = BrokerProcess.start(port)) {
            fake.script(_ -> Answer.tokens(5).every(Duration.ofMillis(200)));
            try (PenstockProcess replica = start(first, postgres, fake, "share", 0)) {
                List<String> ids = ids("job").subList(0, 600);
                try (ReplyLog replies = ReplyLog.follow(first.bootstrap());
                        JobSender jobs = new JobSender(first.bootstrap())) {
                    ids.forEach(id -> jobs.send(id, "x"));
                    jobs.flush();
                    fake.await(stats -> stats.finished() > 100, PATIENCE);

                    try (BrokerProcess second = first.killAndRestart()) {
                        replies.awaitOutcomes(ids, PATIENCE);

                        System.out.printf(
                                "broker killed and restarted under load: %d of 600 jobs started more than once, %s%n",
                                again(replies, ids), replies.outcomes(ids));
                        assertThat(replies.outcomes(ids)).isEqualTo(Map.of("completed", 600));
                        assertWhole(replies, ids);
                        assertThat(replica.process().isAlive()).isTrue();
                        assertThat(second.process().isAlive()).isTrue();
                    }
                }
            }
        }
    }

    private static PenstockProcess start(
            BrokerProcess broker, Postgres postgres, FakeUpstream fake, String mode, int number)
            throws InterruptedException {
        return PenstockProcess.with(broker.bootstrap())
                .name("replica-" + number)
                .runtimeOption("-Xmx384m")
                .ledger(postgres)
                .config("penstock.intake.mode", mode)
                .config("penstock.intake.slots", Integer.toString(SLOTS))
                .node("fake", "vllm", URI.create(fake.url()), 3 * SLOTS)
                .startReady();
    }

    /** How many records came for the n-th time. */
    private static Map<String, Double> deliveries(List<PenstockProcess> replicas) throws InterruptedException {
        Map<String, Double> all = new TreeMap<>();
        for (PenstockProcess replica : replicas) {
            Metrics.text(replica)
                    .lines()
                    .filter(line -> line.startsWith("penstock_deliveries_total{count="))
                    .forEach(line -> all.merge(
                            line.replaceFirst(".*count=\"(\\d+)\".*", "$1"),
                            Double.valueOf(line.replaceFirst(".*} ", "")),
                            Double::sum));
        }
        return all;
    }

    private static long again(ReplyLog replies, List<String> ids) {
        return ids.stream()
                .filter(id -> replies.count(id, EventMark.Kind.STARTED) > 1)
                .count();
    }

    private static void assertWhole(ReplyLog replies, List<String> ids) {
        ids.forEach(id -> assertThat(replies.chunkText(id)).as(id).isEqualTo(replies.completedText(id)));
    }

    private static List<String> ids(String name) {
        return IntStream.range(0, JOBS).mapToObj(i -> name + "-" + i).toList();
    }
}
