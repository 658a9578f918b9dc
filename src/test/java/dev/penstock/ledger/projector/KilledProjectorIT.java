package dev.penstock.ledger.projector;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.TestLedgers;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.Postgres;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A projector that is killed again and again under load writes the same rows as one that was not killed. */
final class KilledProjectorIT {
    /** -Dpenstock.test.kills=50 for more; each takes some seconds. */
    private static final int KILLS = Integer.getInteger("penstock.test.kills", 4);

    private static final Duration PATIENCE = Duration.ofMinutes(2);

    @TempDir
    private Path folder;

    @Test
    void with_sqlite() throws Exception {
        Path killed = folder.resolve("killed.db");
        Path other = folder.resolve("other.db");
        check(killed.toString(), TestLedgers.sqlite(killed), other.toString(), TestLedgers.sqlite(other));
    }

    @Test
    void with_postgresql() throws Exception {
        try (Postgres killed = Postgres.start("killed");
                Postgres other = Postgres.start("not-killed")) {
            check(killed.url(), TestLedgers.postgres(killed), other.url(), TestLedgers.postgres(other));
        }
    }

    private static void check(String killedAt, LedgerDatabase killed, String otherAt, LedgerDatabase other)
            throws Exception {
        try (Broker broker = Broker.start();
                Admin admin = broker.admin()) {
            admin.createTopics(Stream.of(
                                    "prompt-jobs-high",
                                    "prompt-jobs",
                                    "prompt-jobs-low",
                                    "prompt-replies",
                                    "prompt-commands",
                                    "prompt-jobs-deferred")
                            .map(name -> new NewTopic(name, 3, (short) 1))
                            .toList())
                    .all()
                    .get();
            AtomicBoolean enough = new AtomicBoolean();
            Thread load = Thread.ofPlatform().start(() -> load(broker.bootstrap(), enough));
            Random random = new Random(1);
            for (int kill = 0; kill < KILLS; kill++) {
                ChildProcess projector = projector(broker, killedAt);
                projector.awaitLine("ready"::equals, PATIENCE);
                Map<TopicPartition, Long> before = positions(killed);
                // anywhere in its work: it has written something, and then some more
                long until = System.nanoTime() + PATIENCE.toNanos();
                while (positions(killed).equals(before) && System.nanoTime() < until) {
                    LockSupport.parkNanos(10_000_000);
                }
                LockSupport.parkNanos(random.nextInt(100) * 1_000_000L);
                projector.kill9();
            }
            enough.set(true);
            load.join();
            finish(broker, admin, killedAt, killed);
            finish(broker, admin, otherAt, other);
            List<String> rows = TestLedgers.dump(killed);
            System.out.printf("%s: a projector killed %d times: %,d rows%n", killed.kind(), KILLS, rows.size());
            assertThat(rows).hasSizeGreaterThan(1_000).isEqualTo(TestLedgers.dump(other));
        }
    }

    private static ChildProcess projector(Broker broker, String ledger) {
        return ChildProcess.java("projector", List.of("-Xmx256m"), ProjectorProcess.class, broker.bootstrap(), ledger);
    }

    /** Runs a projector until it has seen everything. */
    private static void finish(Broker broker, Admin admin, String ledger, LedgerDatabase database) throws Exception {
        List<TopicPartition> partitions = Stream.of(
                        "prompt-jobs", "prompt-replies", "prompt-commands", "prompt-jobs-deferred")
                .flatMap(topic -> Stream.of(0, 1, 2).map(partition -> new TopicPartition(topic, partition)))
                .toList();
        Map<TopicPartition, Long> ends = TopicPlaces.offsets(admin, partitions, OffsetSpec.latest());
        try (ChildProcess projector = projector(broker, ledger)) {
            projector.awaitLine("ready"::equals, PATIENCE);
            long until = System.nanoTime() + PATIENCE.toNanos();
            Map<TopicPartition, Long> positions = Map.of();
            while (!hasPassed(positions, ends)) {
                assertThat(System.nanoTime())
                        .as("projected %s of %s", positions, ends)
                        .isLessThan(until);
                LockSupport.parkNanos(10_000_000);
                positions = positions(database);
            }
        }
    }

    /** Reads the positions as soon as the projector, which is another process here, leaves SQLite's file free. */
    private static Map<TopicPartition, Long> positions(LedgerDatabase database) throws LedgerDatabase.Unavailable {
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (true) {
            try {
                return database.write(Positions::all);
            } catch (LedgerDatabase.Unavailable e) {
                if (System.nanoTime() - until >= 0) {
                    throw e;
                }
                LockSupport.parkNanos(10_000_000);
            }
        }
    }

    private static boolean hasPassed(Map<TopicPartition, Long> positions, Map<TopicPartition, Long> ends) {
        return ends.entrySet().stream().allMatch(end -> positions.getOrDefault(end.getKey(), 0L) >= end.getValue());
    }

    private static void load(String bootstrap, AtomicBoolean enough) {
        Random random = new Random(7);
        Map<String, Object> properties = Map.of("bootstrap.servers", bootstrap, "linger.ms", 5);
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int round = 0; !enough.get(); round++) {
                for (ConsumerRecord<byte[], byte[]> record :
                        Topics.random(random, "r" + round + "-", 20).all()) {
                    var _ = producer.send(new ProducerRecord<>(
                            record.topic(), null, null, record.key(), record.value(), record.headers()));
                }
                producer.flush();
                // a load, and time for the projectors that work under it
                LockSupport.parkNanos(50_000_000);
            }
        }
    }
}
