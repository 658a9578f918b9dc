package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.KafkaFaults;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Broken connections, throttling and large batches between the share client and a real broker. */
@Tag("alone")
class ShareFaultsIT {
    private static final Duration PATIENCE = Duration.ofSeconds(Integer.getInteger("penstock.share.patience", 120));
    private static final int SECONDS = Integer.getInteger("penstock.share.faults.seconds", 20);
    private static final long SEED = Long.getLong("penstock.share.faults.seed", 7);
    private static final int LOCK_MILLIS = 3_000;
    /** Both members may be without a connection for some seconds. A record that stays locked waits for longer. */
    private static final int TAKING_MILLIS = 10_000;

    private static final int PROXY_PORT = Broker.freePort();
    private static Broker broker;

    @BeforeAll
    static void start() {
        broker = Broker.behindProxy(PROXY_PORT);
    }

    @AfterAll
    static void stop() {
        broker.close();
    }

    private static String topic(String name, int partitions) throws Exception {
        try (Admin admin = broker.admin()) {
            admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1)))
                    .all()
                    .get();
        }
        broker.setGroup("group-" + name, "share.auto.offset.reset", "earliest");
        broker.setGroup("group-" + name, "share.record.lock.duration.ms", Integer.toString(LOCK_MILLIS));
        broker.setGroup("group-" + name, "share.delivery.count.limit", "10");
        return name;
    }

    private static KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
        Map<String, Object> properties = new java.util.HashMap<>(more);
        properties.put("bootstrap.servers", broker.bootstrap());
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** @return a record of so many bytes that begins with its name */
    private static byte[] value(String name, int bytes) {
        byte[] value = new byte[Math.max(bytes, name.length() + 1)];
        new Random(name.hashCode()).nextBytes(value);
        Arrays.fill(value, 0, name.length() + 1, (byte) ' ');
        System.arraycopy(name.getBytes(StandardCharsets.UTF_8), 0, value, 0, name.length());
        return value;
    }

    @Test
    void nothing_is_lost_behind_a_proxy_that_breaks_answers() throws Exception {
        String topic = topic("faults", 4);
        WorkingMember.Work work = new WorkingMember.Work(20, 2 * LOCK_MILLIS);
        Map<String, Long> sentAt = new ConcurrentHashMap<>();
        try (KafkaFaults faults = KafkaFaults.start(PROXY_PORT, broker.proxiedPort(), SEED, 0.02);
                WorkingMember one = new WorkingMember(faults.bootstrap(), Map.of(), work)
                        .take(topic, 64)
                        .start();
                WorkingMember two = new WorkingMember(faults.bootstrap(), Map.of(), work)
                        .take(topic, 64)
                        .start();
                KafkaProducer<byte[], byte[]> producer = producer(Map.of())) {
            send(
                    producer,
                    topic,
                    "first",
                    work,
                    sentAt,
                    () -> one.statistics().taken() == 0 || two.statistics().taken() == 0);
            Conditions.await(() -> work.doneAt().size() == sentAt.size(), PATIENCE, "the first jobs");
            work.absences().clear();
            faults.begin();
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
            send(producer, topic, "record", work, sentAt, () -> System.nanoTime() - end < 0);
            faults.calm();
            faults.cut();
            Conditions.await(() -> work.doneAt().size() == sentAt.size(), PATIENCE, "all jobs");
            WorkingMember.awaitDone(broker, topic, PATIENCE);
            long longest = sentAt.entrySet().stream()
                    .mapToLong(sent -> work.doneAt().getOrDefault(sent.getKey(), Long.MAX_VALUE) - sent.getValue())
                    .max()
                    .orElse(0);
            long again = work.runs().values().stream().filter(runs -> runs > 1).count();
            List<WorkingMember.Absence> worst = work.absences().stream()
                    .sorted(Comparator.comparingLong(
                                    (WorkingMember.Absence absence) -> absence.beyondLocks(LOCK_MILLIS))
                            .reversed())
                    .limit(5)
                    .toList();
            long beyondLocks = worst.getFirst().beyondLocks(LOCK_MILLIS);
            System.out.printf(
                    "%d s of faults, seed %d: %s%n  %d records, %d ran again, %d locks lost, the slowest took %.1f s; longest wait beyond its locks: %d ms, %s%n  %s%n  %s%n",
                    SECONDS,
                    SEED,
                    faults.counts(),
                    sentAt.size(),
                    again,
                    one.lost.size() + two.lost.size(),
                    longest / 1e9,
                    beyondLocks,
                    worst,
                    one.statistics(),
                    two.statistics());
            assertThat(work.runs().keySet()).isEqualTo(sentAt.keySet());
            assertThat(beyondLocks).as(worst.toString()).isLessThan(TAKING_MILLIS);
            if (SECONDS >= 300) {
                assertThat(faults.counts()).containsOnlyKeys(KafkaFaults.kinds());
            }
        }
    }

    /** Sends a record every 40 ms while the condition holds. */
    private static void send(
            KafkaProducer<byte[], byte[]> producer,
            String topic,
            String prefix,
            WorkingMember.Work work,
            Map<String, Long> sentAt,
            BooleanSupplier condition)
            throws InterruptedException {
        for (int i = 0; condition.getAsBoolean(); i++) {
            String name = prefix + "-" + i;
            sentAt.put(name, System.nanoTime());
            work.sent(name);
            var _ = producer.send(new ProducerRecord<>(topic, i % 4, null, value(name, 100)));
            Thread.sleep(40);
        }
    }

    @Test
    void a_throttled_client_takes_everything_more_slowly() throws Exception {
        String topic = topic("throttled", 1);
        ClientQuotaEntity entity = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, "share-test"));
        try (Admin admin = broker.admin()) {
            quota(admin, entity, 40_000.0);
            WorkingMember.Work work = new WorkingMember.Work(10, 10);
            try (WorkingMember member = new WorkingMember(broker.bootstrap(), Map.of(), work)
                            .take(topic, 4)
                            .start();
                    KafkaProducer<byte[], byte[]> producer = producer(Map.of("batch.size", 0))) {
                long begun = System.nanoTime();
                for (int i = 0; i < 40; i++) {
                    var _ = producer.send(new ProducerRecord<>(topic, 0, null, value("record-" + i, 10_000)));
                }
                Conditions.await(() -> work.doneAt().size() == 40, PATIENCE, "all jobs");
                WorkingMember.awaitDone(broker, topic, PATIENCE);
                System.out.printf(
                        "400 kB at 40 kB/s: %.1f s, %s%n", (System.nanoTime() - begun) / 1e9, member.statistics());
                assertThat(member.lost).isEmpty();
            } finally {
                quota(admin, entity, null);
            }
        }
    }

    private static void quota(Admin admin, ClientQuotaEntity entity, @Nullable Double bytesPerSecond) throws Exception {
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(
                        entity, List.of(new ClientQuotaAlteration.Op("consumer_byte_rate", bytesPerSecond)))))
                .all()
                .get();
    }

    @Test
    void records_of_large_batches_cost_a_bounded_number_of_bytes() throws Exception {
        String topic = topic("large", 1);
        int records = 2_000;
        produceLargeBatches(topic, records);
        WorkingMember.Work work = new WorkingMember.Work(1, 10);
        try (WorkingMember member = new WorkingMember(broker.bootstrap(), Map.of(), work)
                .take(topic, 64)
                .start()) {
            long begun = System.nanoTime();
            Conditions.await(() -> work.doneAt().size() == records, PATIENCE, "all jobs");
            WorkingMember.awaitDone(broker, topic, PATIENCE);
            long bytes = member.statistics().bytes() / records;
            System.out.printf(
                    "batches of 1 MB, room for 64, jobs of 1 to 10 ms: %d bytes a record, %d fetches, %.1f s%n",
                    bytes, member.statistics().fetches(), (System.nanoTime() - begun) / 1e9);
            assertThat(bytes).isLessThan(100_000);
        }
    }

    @Test
    void a_single_record_of_a_large_batch_costs_one_batch() throws Exception {
        String topic = topic("single", 1);
        produceLargeBatches(topic, 2_000);
        WorkingMember.Work work = new WorkingMember.Work(1, 10);
        try (WorkingMember member = new WorkingMember(broker.bootstrap(), Map.of(), work)
                .take(topic, 1)
                .start()) {
            Conditions.await(() -> member.statistics().taken() >= 60, PATIENCE, "some jobs");
            ShareStatistics statistics = member.statistics();
            long bytes = statistics.bytes() / statistics.taken();
            System.out.printf("batches of 1 MB, room for 1: %d bytes a record, %s%n", bytes, statistics);
            assertThat(bytes).isBetween(100_000L, 1_100_000L);
        }
    }

    /** Produces records of 1 kB in batches of 1 MB. */
    private static void produceLargeBatches(String topic, int records) {
        try (KafkaProducer<byte[], byte[]> producer =
                producer(Map.of("batch.size", 1_000_000, "linger.ms", 1_000, "max.request.size", 2_000_000))) {
            for (int i = 0; i < records; i++) {
                var _ = producer.send(new ProducerRecord<>(topic, 0, null, value("record-" + i, 1_000)));
            }
        }
    }
}
