package dev.penstock.bench;

import com.sun.management.OperatingSystemMXBean;
import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings.Compression;
import dev.penstock.testkit.BrokerProcess;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.wire.document.EventDocument;
import dev.penstock.wire.record.EventHeaders;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.config.TopicConfig;
import org.jspecify.annotations.Nullable;

/**
 * The cost and the savings of compression on the reply topic: the service's chunk events, through a producer with the
 * service's settings.
 */
final class RepliesLane {
    private static final int ROUNDS = 5;
    private static final int PARTITIONS = 12;
    private static final int STREAMS = 64;
    private static final int CHUNKS_PER_SECOND = 20;
    private static final int SECONDS = 10;
    private static final int BURST = 200_000;
    private static final int IN_FLIGHT = 5_000;

    private final BrokerProcess broker;
    private final List<ProducerRecord<byte[], byte[]>> events;
    private final Map<Compression, Found> found = new EnumMap<>(Compression.class);
    private final Report report;

    private RepliesLane(BrokerProcess broker, int rounds) throws IOException {
        this.broker = broker;
        events = events();
        report = new Report("replies", rounds, Map.of("burst", BURST, "streams", STREAMS, "partitions", PARTITIONS));
    }

    static void run(Options options) throws InterruptedException, IOException {
        int rounds = options.rounds().orElse(ROUNDS);
        try (BrokerProcess broker = BrokerProcess.start();
                Admin admin = broker.admin()) {
            RepliesLane lane = new RepliesLane(broker, rounds);
            for (int round = 0; round <= rounds; round++) { // the first does not count
                for (Compression compression : Compression.values()) {
                    lane.measure(admin, compression, round);
                }
            }
            lane.print(rounds);
        }
    }

    /** Returns a round of the streams' chunks, each with the text of 50 ms. */
    private static List<ProducerRecord<byte[], byte[]>> events() throws IOException {
        Random random = new Random(1);
        String[] words = Files.readString(TestEnvironment.projectDir().resolve("README.md"))
                .strip()
                .split("\\s+", -1);
        List<ProducerRecord<byte[], byte[]>> events = new ArrayList<>();
        for (int seq = 1; seq <= CHUNKS_PER_SECOND * SECONDS; seq++) {
            for (int stream = 0; stream < STREAMS; stream++) {
                JobId id = new JobId("order-2026-11-%05d".formatted(stream * 7919 % 100_000));
                EventMark mark = new EventMark(EventMark.Kind.CHUNK, 1, "k3f9a%05d".formatted(stream), seq);
                StringBuilder text = new StringBuilder();
                for (int word = random.nextInt(1, 8); word > 0; word--) {
                    text.append(' ').append(words[random.nextInt(words.length)]);
                }
                Answer.Head head =
                        new Answer.Head("chatcmpl-" + id.value(), 1_795_935_177L, "meta-llama/Llama-3.2-3B", Task.CHAT);
                byte[] value = EventDocument.write(
                        id,
                        mark,
                        new JobEvent.Chunk(
                                head, List.of(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text.toString()))));
                byte[] key = EventHeaders.utf8(id.value());
                events.add(new ProducerRecord<>("replies", null, null, key, value, EventHeaders.of(key, mark, null)));
            }
        }
        return events;
    }

    private void measure(Admin admin, Compression compression, int round) throws InterruptedException {
        Map<String, Object> sample = new LinkedHashMap<>();
        sample.put("round", round);
        sample.put("compression", compression.wireName());
        String name = compression.wireName() + "-" + round;
        create(admin, "streams-" + name, compression);
        create(admin, "burst-" + name, compression);
        try (KafkaProducer<byte[], byte[]> producer = producer(compression)) {
            note(sample, "streams", events.size(), streams(producer, "streams-" + name));
            note(sample, "burst", BURST, burst(producer, "burst-" + name));
        }
        sample.put("streams bytes", (double) bytes(admin, "streams-" + name) / events.size());
        sample.put("burst bytes", (double) bytes(admin, "burst-" + name) / BURST);
        delete(admin, List.of("streams-" + name, "burst-" + name));
        if (round > 0) {
            report.sample(sample);
            sample.forEach((what, value) -> {
                if (value instanceof Double number) {
                    found.computeIfAbsent(compression, _ -> new Found()).add(what, number);
                }
            });
        }
        Bench.progress("replies " + sample);
    }

    private record Cost(double seconds, double cpuMicros) {}

    private static void note(Map<String, Object> sample, String load, int events, Cost cost) {
        sample.put(load + " events/s", events / cost.seconds());
        sample.put(load + " CPU", cost.cpuMicros() / events);
    }

    /** Sends every stream's next chunk, every 50 ms, for as many streams as there are jobs. */
    private Cost streams(KafkaProducer<byte[], byte[]> producer, String topic) throws InterruptedException {
        long begun = System.nanoTime();
        double cpu = cpuMicros();
        for (int tick = 0; tick < events.size() / STREAMS; tick++) {
            for (ProducerRecord<byte[], byte[]> event : events.subList(tick * STREAMS, (tick + 1) * STREAMS)) {
                var _ = producer.send(to(topic, event), RepliesLane::sent);
                TimeUnit.MICROSECONDS.sleep(1_000_000 / CHUNKS_PER_SECOND / STREAMS / 2); // not all at one moment
            }
            long next = begun + (tick + 1) * TimeUnit.SECONDS.toNanos(1) / CHUNKS_PER_SECOND;
            TimeUnit.NANOSECONDS.sleep(next - System.nanoTime());
        }
        producer.flush();
        return new Cost((System.nanoTime() - begun) / 1e9, cpuMicros() - cpu);
    }

    private Cost burst(KafkaProducer<byte[], byte[]> producer, String topic) throws InterruptedException {
        Semaphore room = new Semaphore(IN_FLIGHT);
        long begun = System.nanoTime();
        double cpu = cpuMicros();
        for (int i = 0; i < BURST; i++) {
            room.acquire();
            var _ = producer.send(to(topic, events.get(i % events.size())), (place, failure) -> {
                sent(place, failure);
                room.release();
            });
        }
        producer.flush();
        return new Cost((System.nanoTime() - begun) / 1e9, cpuMicros() - cpu);
    }

    private static void sent(RecordMetadata place, @Nullable Exception failure) {
        if (failure != null) {
            Bench.progress("an event is not on the broker: " + failure);
        }
    }

    private static ProducerRecord<byte[], byte[]> to(String topic, ProducerRecord<byte[], byte[]> event) {
        return new ProducerRecord<>(topic, null, null, event.key(), event.value(), event.headers());
    }

    private KafkaProducer<byte[], byte[]> producer(Compression compression) {
        KafkaClients kafka = new KafkaClients(Map.of("bootstrap.servers", broker.bootstrap()), 8 * 1024 * 1024);
        return kafka.producer(
                "bench-replies",
                Map.of(
                        ProducerConfig.LINGER_MS_CONFIG,
                        0,
                        ProducerConfig.COMPRESSION_TYPE_CONFIG,
                        compression.wireName()));
    }

    /** Returns when each partition has a leader. */
    private static void create(Admin admin, String topic, Compression compression) throws InterruptedException {
        await(admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1)
                        .configs(Map.of(TopicConfig.COMPRESSION_TYPE_CONFIG, compression.ofTopic()))))
                .all());
        Stage.until(() -> hasLeaders(admin, topic), topic + " has no leaders");
    }

    private static boolean hasLeaders(Admin admin, String topic) throws InterruptedException {
        try {
            return admin.describeTopics(List.of(topic)).allTopicNames().get().values().stream()
                    .flatMap(description -> description.partitions().stream())
                    .allMatch(partition -> partition.leader() != null);
        } catch (ExecutionException _) {
            return false; // the broker does not know it yet
        }
    }

    private static void delete(Admin admin, List<String> topics) throws InterruptedException {
        await(admin.deleteTopics(topics).all());
    }

    private static long bytes(Admin admin, String topic) throws InterruptedException {
        return await(admin.describeLogDirs(List.of(1)).allDescriptions()).values().stream()
                .flatMap(folders -> folders.values().stream())
                .flatMap(folder -> folder.replicaInfos().entrySet().stream())
                .filter(replica -> replica.getKey().topic().equals(topic))
                .mapToLong(replica -> replica.getValue().size())
                .sum();
    }

    private static <T> T await(KafkaFuture<T> future) throws InterruptedException {
        try {
            return future.get();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    /** Returns the processor time of this process, which only produces. */
    private static double cpuMicros() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e3;
    }

    private void print(int rounds) throws IOException {
        Table table = new Table(
                "compression",
                "streams: CPU, us/event",
                "streams: bytes/event",
                "burst: events/s",
                "burst: CPU, us/event",
                "burst: bytes/event");
        found.forEach((compression, of) -> {
            report.summary(compression.wireName(), of.summary());
            table.row(
                    compression.wireName(),
                    of.cell("streams CPU", 1),
                    of.cell("streams bytes", 0),
                    of.cell("burst events/s", 0),
                    of.cell("burst CPU", 1),
                    of.cell("burst bytes", 0));
        });
        System.out.printf(
                Locale.ROOT,
                "%nreplies: chunk events, %d partitions, linger 0; %d rounds, median (min..max)%n%n%s%n"
                        + "streams: %d streams with %d chunks a second each. burst: %d events as fast as they go.%n",
                PARTITIONS,
                rounds,
                table,
                STREAMS,
                CHUNKS_PER_SECOND,
                BURST);
        Bench.wrote(report.write());
    }
}
