package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.Acknowledgement;
import dev.penstock.kafka.share.lane.ShareOptions;
import dev.penstock.kafka.share.lane.TakenRecord;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.KafkaProxy;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The share client against a real broker. */
class ShareClientIT {
    private static final Duration PATIENCE = Duration.ofSeconds(Integer.getInteger("penstock.share.patience", 60));
    private static final int PARTITIONS = 4;
    private static final int PROXY_PORT = Broker.freePort();
    private static Broker broker;
    private static KafkaProxy proxy;

    @BeforeAll
    static void start() {
        broker = Broker.behindProxy(PROXY_PORT);
        proxy = KafkaProxy.start(PROXY_PORT, broker.proxiedPort());
    }

    @AfterAll
    static void stop() {
        proxy.close();
        broker.close();
    }

    /** A client with one topic, and what it heard. */
    private static final class Member implements Receiver, AutoCloseable {
        final BlockingQueue<TakenRecord> taken = new LinkedBlockingQueue<>();
        final Map<String, Long> takenAt = new ConcurrentHashMap<>();
        final Map<String, Integer> runs = new ConcurrentHashMap<>();
        final List<Integer> counts = java.util.Collections.synchronizedList(new ArrayList<>());
        final List<String> lost = java.util.Collections.synchronizedList(new ArrayList<>());
        final ShareClient client;
        final Subscription subscription;

        Member(String bootstrap, String topic, int room) {
            client = new ShareClient(
                    Map.of("bootstrap.servers", bootstrap, "client.id", "share-test"),
                    ShareOptions.defaults(1 << 20, 1 << 26),
                    Duration.ofSeconds(5));
            subscription = client.subscribe(topic, "group-" + topic, this, 0);
            subscription.room(room);
            client.start();
        }

        @Override
        public void taken(TakenRecord record) {
            String value = new String(record.record().value(), StandardCharsets.UTF_8);
            takenAt.putIfAbsent(value, System.nanoTime());
            runs.merge(value, 1, Integer::sum);
            counts.add(record.deliveries());
            taken.add(record);
        }

        @Override
        public void lost(TakenRecord record, String why) {
            lost.add(record + ": " + why);
        }

        @Override
        public void damaged(int partition, long offset, String why) {
            lost.add(offset + ": " + why);
        }

        TakenRecord next() throws InterruptedException {
            TakenRecord record = taken.poll(PATIENCE.toSeconds(), TimeUnit.SECONDS);
            if (record == null) {
                throw new AssertionError("no record came within " + PATIENCE);
            }
            return record;
        }

        List<TakenRecord> next(int many) throws InterruptedException {
            List<TakenRecord> records = new ArrayList<>();
            for (int i = 0; i < many; i++) {
                records.add(next());
            }
            return records;
        }

        void accept(TakenRecord record) {
            subscription.finish(record, Acknowledgement.ACCEPT);
        }

        @Override
        public void close() {
            client.close();
        }
    }

    private static String topic(String name, int partitions) throws Exception {
        try (Admin admin = broker.admin()) {
            admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1)))
                    .all()
                    .get();
        }
        broker.setGroup("group-" + name, "share.auto.offset.reset", "earliest");
        broker.setGroup("group-" + name, "share.record.lock.duration.ms", "3000");
        return name;
    }

    private static KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
        Map<String, Object> properties = new java.util.HashMap<>(more);
        properties.put("bootstrap.servers", broker.bootstrap());
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static void produce(String topic, int partition, String... values) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of())) {
            for (String value : values) {
                producer.send(record(topic, partition, value)).get();
            }
        }
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, int partition, String value) {
        return new ProducerRecord<>(topic, partition, null, value.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void takes_each_record_within_milliseconds_and_acknowledges_it() throws Exception {
        String topic = topic("milliseconds", PARTITIONS);
        try (Member member = new Member(broker.bootstrap(), topic, 16);
                KafkaProducer<byte[], byte[]> producer = producer(Map.of())) {
            producer.send(record(topic, 0, "first")).get();
            member.accept(member.next());
            List<Long> micros = new ArrayList<>();
            for (int i = 0; i < 200; i++) {
                String value = "record-" + i;
                long sent = System.nanoTime();
                var _ = producer.send(record(topic, i % PARTITIONS, value));
                TakenRecord record = member.next();
                micros.add((member.takenAt.getOrDefault(value, 0L) - sent) / 1_000);
                assertThat(record.deliveries()).isEqualTo(1);
                member.accept(record);
            }
            micros.sort(null);
            System.out.printf(
                    "produce to taken: p50 %.2f ms, p99 %.2f ms%n", micros.get(100) / 1e3, micros.get(198) / 1e3);
            assertThat(micros.get(100)).isLessThan(150_000);
            WorkingMember.awaitDone(broker, topic, PATIENCE);
            assertThat(member.lost).isEmpty();
        }
    }

    @Test
    void renews_the_lock_of_a_long_job_and_hands_a_released_record_on() throws Exception {
        String topic = topic("long", 1);
        produce(topic, 0, "long");
        try (Member member = new Member(broker.bootstrap(), topic, 1)) {
            TakenRecord record = member.next();
            assertThat(record.deliveries()).isEqualTo(1);
            try (Member other = new Member(broker.bootstrap(), topic, 1)) {
                // three locks long
                Conditions.await(() -> member.subscription.statistics().renewed() >= 9, PATIENCE, "it is renewed");
                assertThat(other.runs).isEmpty();
                member.subscription.room(0);
                member.subscription.finish(record, Acknowledgement.RELEASE);

                TakenRecord again = other.next();
                assertThat(again.deliveries()).isEqualTo(2);
                other.accept(again);
                WorkingMember.awaitDone(broker, topic, PATIENCE);
            }
            assertThat(member.lost).isEmpty();
        }
    }

    @Test
    void two_members_share_a_topic() throws Exception {
        String topic = topic("shared", PARTITIONS);
        try (Member one = new Member(broker.bootstrap(), topic, 8);
                Member two = new Member(broker.bootstrap(), topic, 8)) {
            produce(topic, 0, "warm-1", "warm-2");
            for (int i = 0; i < 16; i++) {
                produce(topic, i % PARTITIONS, "record-" + i);
            }
            Set<TakenRecord> first = new HashSet<>();
            Conditions.await(
                    () -> {
                        one.taken.drainTo(first);
                        return one.runs.size() + two.runs.size() >= 16;
                    },
                    PATIENCE,
                    "both have some");
            assertThat(one.runs.size()).isEqualTo(8);
            assertThat(two.runs.size()).isEqualTo(8);
            first.forEach(one::accept);
            two.next(8).forEach(two::accept);
            while (one.runs.size() + two.runs.size() < 18) {
                TakenRecord more = one.taken.poll(20, TimeUnit.MILLISECONDS);
                if (more != null) {
                    one.accept(more);
                }
            }
            one.taken.forEach(one::accept);
            two.taken.forEach(two::accept);
            WorkingMember.awaitDone(broker, topic, PATIENCE);
            Set<String> both = new HashSet<>(one.runs.keySet());
            both.retainAll(two.runs.keySet());
            assertThat(both).isEmpty();
        }
    }

    @Test
    void jobs_go_on_when_all_connections_are_cut() throws Exception {
        String topic = topic("cut", PARTITIONS);
        for (int partition = 0; partition < PARTITIONS; partition++) {
            String[] values = new String[15];
            for (int i = 0; i < values.length; i++) {
                values[i] = partition + "-" + i;
            }
            produce(topic, partition, values);
        }
        try (Member member = new Member(proxy.bootstrap(), topic, 60)) {
            List<TakenRecord> running = member.next(60);
            for (int cut = 1; cut <= 3; cut++) {
                long disconnects = member.subscription.statistics().disconnects();
                proxy.cut();
                Conditions.await(
                        () -> member.subscription.statistics().disconnects() > disconnects, PATIENCE, "it notices");
                long renewed = member.subscription.statistics().renewed();
                Conditions.await(
                        () -> {
                            ShareStatistics now = member.subscription.statistics();
                            return now.renewed() >= renewed + 60;
                        },
                        PATIENCE,
                        "it checks");
            }
            ShareStatistics statistics = member.subscription.statistics();
            System.out.printf("60 running, 3 cuts: %s%n", statistics);
            assertThat(member.lost).isEmpty();
            running.forEach(member::accept);
            WorkingMember.awaitDone(broker, topic, PATIENCE);
            assertThat(member.lost).isEmpty();
            assertThat(member.runs)
                    .hasSize(60)
                    .allSatisfy((_, runs) -> assertThat(runs).isEqualTo(1));
        }
    }

    @Test
    void a_record_whose_acceptance_was_cut_off_comes_again_with_a_higher_count() throws Exception {
        String topic = topic("accepted", 1);
        produce(topic, 0, "one", "two");
        try (Member member = new Member(proxy.bootstrap(), topic, 2)) {
            List<TakenRecord> running = member.next(2);
            proxy.freeze("share-test");
            running.forEach(member::accept);
            proxy.awaitHeld(PATIENCE);
            proxy.cut();
            // the count tells its owner to look for an outcome
            Thread again = Thread.ofVirtual().start(() -> acceptAll(member));
            WorkingMember.awaitDone(broker, topic, PATIENCE);
            again.interrupt();
            assertThat(member.counts).hasSizeGreaterThanOrEqualTo(2).endsWith(2);
        }
    }

    private static void acceptAll(Member member) {
        try {
            while (true) {
                member.accept(member.next());
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    @Test
    void every_codec_transactions_and_added_partitions() throws Exception {
        String topic = topic("codecs", 1);
        try (Member member = new Member(broker.bootstrap(), topic, 100)) {
            Set<String> expected = new HashSet<>();
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                try (KafkaProducer<byte[], byte[]> producer =
                        producer(Map.of("compression.type", codec, "linger.ms", 50))) {
                    for (int i = 0; i < 5; i++) {
                        expected.add(codec + i);
                        var _ = producer.send(record(topic, 0, codec + i));
                    }
                }
            }
            try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("transactional.id", "codecs"))) {
                producer.initTransactions();
                producer.beginTransaction();
                var _ = producer.send(record(topic, 0, "committed"));
                producer.commitTransaction();
            }
            expected.add("committed");
            try (Admin admin = broker.admin()) {
                admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2)))
                        .all()
                        .get();
            }
            produce(topic, 1, "added");
            expected.add("added");
            member.next(expected.size()).forEach(member::accept);
            assertThat(member.runs.keySet()).isEqualTo(expected);
            // the marker of the transaction is a gap
            WorkingMember.awaitDone(broker, topic, PATIENCE);
        }
    }

    @Test
    void leaving_gives_back_at_once() throws Exception {
        String topic = topic("leaving", 1);
        produce(topic, 0, "done", "given back");
        try (Member other = new Member(broker.bootstrap(), topic, 0)) {
            try (Member member = new Member(broker.bootstrap(), topic, 2)) {
                member.accept(member.next());
                member.next();
                other.subscription.room(2);
            }
            TakenRecord again = other.next();
            assertThat(other.runs.keySet()).containsExactly("given back");
            other.accept(again);
            WorkingMember.awaitDone(broker, topic, PATIENCE);
        }
    }

    @Test
    void a_topic_made_anew_is_taken_from_its_beginning() throws Exception {
        String topic = topic("anew", 1);
        produce(topic, 0, "old");
        try (Member member = new Member(broker.bootstrap(), topic, 5)) {
            member.next();
            try (Admin admin = broker.admin()) {
                admin.deleteTopics(List.of(topic)).all().get();
                Conditions.await(
                        () -> {
                            try {
                                return !admin.listTopics().names().get().contains(topic);
                            } catch (Exception e) {
                                throw new IllegalStateException(e);
                            }
                        },
                        PATIENCE,
                        "it is deleted");
                admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1)))
                        .all()
                        .get();
            }
            Conditions.await(() -> member.lost.size() == 1, PATIENCE, "the old record is lost");
            produce(topic, 0, "new");
            member.accept(member.next());
            assertThat(member.runs.keySet()).containsExactlyInAnyOrder("old", "new");
            WorkingMember.awaitDone(broker, topic, PATIENCE);
        }
    }
}
