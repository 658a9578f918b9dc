import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a consumer group: it reads Penstock's reply topic until SIGTERM, and handles each job's outcome.
 *
 * <p>The offset that it commits of a partition is where the oldest open job begins. After a crash or a rebalance the next
 * owner reads the open jobs again from their first event, and some outcomes a second time: handle an outcome by its job's
 * id, and let the first one count. Job.java, beside this file, has the reading rule. long_lived.py and long_lived.ts are
 * the same program.
 */
public final class LongLivedConsumer implements ConsumerRebalanceListener {
    /** Open jobs of one partition. */
    private static final int MAX_OPEN = 10_000;
    /** No job runs for longer: above penstock.jobs.max-timeout. What is older has no outcome to come. */
    private static final long MAX_AGE = Duration.ofHours(2).toMillis();
    /** Characters of the open jobs of one partition. */
    private static final long MAX_TEXT = 8_000_000;
    /** Ids of one partition that have ended: further events of these jobs are void. */
    private static final int MAX_CLOSED = 10_000;

    private static final Duration BETWEEN_COMMITS = Duration.ofSeconds(1);
    private static final JsonMapper JSON = new JsonMapper();
    private static final PrintStream OUT =
            new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Map<TopicPartition, Partition> partitions = new HashMap<>();

    private LongLivedConsumer(KafkaConsumer<byte[], byte[]> consumer) {
        this.consumer = consumer;
    }

    /** Your code. Comes twice for some jobs: keep the first one of an id. */
    private static void handle(Job.Event event, Job job, JsonNode document) {
        // a job without chunks, or whose text was let go, has its text in the outcome
        String text = job.text().isEmpty() ? Job.textOf(document) : job.text().toString();
        OUT.println(JSON.createObjectNode()
                .put("id", event.id())
                .put("outcome", event.name())
                .put("attempt", job.attempt())
                .put("text", text));
    }

    /** Your code: Penstock refused a record. The job of that id, if there is one, comes from another record. */
    private static void handleRejected(Job.Event event, JsonNode document) {
        var line = JSON.createObjectNode().put("id", event.id()).put("outcome", "rejected");
        line.set("code", document.at("/error/code"));
        line.set("record", document.at("/job/record"));
        OUT.println(line);
    }

    /** The open and the ended jobs of one partition, in bounded memory. */
    private static final class Partition {
        private record Open(long offset, long timestamp, Job job) {}

        /** The oldest first. */
        private final LinkedHashMap<String, Open> open = new LinkedHashMap<>();
        /** The oldest first. */
        private final LinkedHashSet<String> closed = new LinkedHashSet<>();

        private long size;
        private long next = -1;
        private long committed = -1;

        void read(ConsumerRecord<byte[], byte[]> message) {
            var event = Job.Event.of(message.headers());
            if (event.isPresent()) {
                read(event.get(), message);
            }
            next = message.offset() + 1; // last: what could not be handled is not committed
        }

        private void read(Job.Event event, ConsumerRecord<byte[], byte[]> message) {
            if (event.rejection()) {
                handleRejected(event, Job.json(message.value()));
                return;
            }
            if (closed.contains(event.id())) {
                return; // void, or an outcome that was replayed for a duplicate record
            }
            var known = open.getOrDefault(
                    event.id(), new Open(message.offset(), message.timestamp(), new Job()));
            int before = known.job().size();
            var document = known.job().read(event, message.value());
            if (document.isEmpty()) {
                return; // void
            }
            size += known.job().size() - before;
            open.putIfAbsent(event.id(), known);
            if (event.outcome()) {
                handle(event, known.job(), document.get());
                size -= open.remove(event.id()).job().size();
                closed.addLast(event.id());
                if (closed.size() > MAX_CLOSED) {
                    closed.removeFirst();
                }
            }
            bound(message.timestamp());
        }

        /** The oldest jobs lose their text first. A job that is dropped is handled all the same when its outcome comes. */
        private void bound(long now) {
            while (open.size() > MAX_OPEN
                    || (!open.isEmpty() && now - open.firstEntry().getValue().timestamp() > MAX_AGE)) {
                size -= open.pollFirstEntry().getValue().job().size();
            }
            for (Open oldest : open.values()) {
                if (size <= MAX_TEXT) {
                    return;
                }
                size -= oldest.job().size();
                oldest.job().forget();
            }
        }

        private long committable() {
            return open.isEmpty() ? next : open.firstEntry().getValue().offset();
        }
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
        assigned.forEach(partition -> partitions.put(partition, new Partition()));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
        commit();
        onPartitionsLost(revoked);
    }

    /** Another member owns them already. */
    @Override
    public void onPartitionsLost(Collection<TopicPartition> lost) {
        lost.forEach(partitions::remove);
    }

    private void commit() {
        var offsets = new HashMap<TopicPartition, OffsetAndMetadata>();
        partitions.forEach((partition, read) -> {
            if (read.committable() != read.committed) {
                offsets.put(partition, new OffsetAndMetadata(read.committable()));
            }
        });
        if (offsets.isEmpty()) {
            return;
        }
        try {
            consumer.commitSync(offsets);
            offsets.forEach((partition, offset) -> partitions.get(partition).committed = offset.offset());
        } catch (CommitFailedException | RetriableException e) {
            System.err.println("not committed: " + e.getMessage()); // a rebalance: the next poll tells who owns what
        }
    }

    private void run() {
        long committed = System.nanoTime();
        while (true) {
            for (ConsumerRecord<byte[], byte[]> message : consumer.poll(Duration.ofMillis(200))) {
                partitions.get(new TopicPartition(message.topic(), message.partition())).read(message);
            }
            if (System.nanoTime() - committed > BETWEEN_COMMITS.toNanos()) {
                commit();
                committed = System.nanoTime();
            }
        }
    }

    /** Ends the loop at SIGTERM, and keeps the JVM until the partitions are given back. */
    private static void stopAtSignal(KafkaConsumer<byte[], byte[]> consumer) {
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join(Duration.ofSeconds(10));
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        }));
    }

    private static Map<String, String> options(String... arguments) {
        var options = new HashMap<>(
                Map.of("--bootstrap", "localhost:9092", "--topic", "prompt-replies", "--group", "my-replies"));
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            if (options.replace(arguments[i], arguments[i + 1]) == null) {
                throw new IllegalArgumentException("unknown option: " + arguments[i]);
            }
        }
        return options;
    }

    public static void main(String... arguments) {
        ReplyConsumer.silenceTheLog();
        var options = options(arguments);
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", options.get("--bootstrap"),
                "group.id", options.get("--group"),
                "session.timeout.ms", 10_000, // a member that died is replaced after so long
                "enable.auto.commit", false,
                "auto.offset.reset", "earliest",
                "allow.auto.create.topics", false);
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            stopAtSignal(consumer);
            var member = new LongLivedConsumer(consumer);
            consumer.subscribe(List.of(options.get("--topic")), member);
            member.run();
        } catch (WakeupException _) {
            // closing has given the partitions back: onPartitionsRevoked has committed
        }
    }
}
