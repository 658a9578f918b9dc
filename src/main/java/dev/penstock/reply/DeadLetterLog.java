package dev.penstock.reply;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.LogRange;
import dev.penstock.settings.Settings;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/** Reads the open dead letters: those that no operator has retried or dropped yet. */
@Singleton
public class DeadLetterLog {
    private static final Comparator<DeadLetter> NEWEST_FIRST = Comparator.comparing(DeadLetter::at)
            .thenComparingInt(DeadLetter::partition)
            .thenComparingLong(DeadLetter::offset)
            .reversed();
    private static final int FIRST_WINDOW = 200;
    /** The largest number of records in one read. It limits the number of dead letters in memory. */
    private static final int LARGEST_WINDOW = 3_200;

    private final KafkaClients kafka;
    private final Settings settings;

    public DeadLetterLog(KafkaClients kafka, Settings settings) {
        this.kafka = kafka;
        this.settings = settings;
    }

    /** The result of a search by id. */
    public sealed interface Found {
        record Open(DeadLetter letter) implements Found {}

        /** @param how the way in which the dead letter was closed, in a word or two */
        record Closed(String how) implements Found {}

        record Nothing() implements Found {}
    }

    /** Reads a part of a partition, in the order of the offsets. */
    interface Range {
        void read(TopicPartition partition, long from, long end, Consumer<ConsumerRecord<byte[], byte[]>> onRecord);
    }

    /**
     * Returns the newest dead letters, without their values.
     *
     * @param after the last dead letter of an earlier list, even if the topic has dropped it; null to begin with the
     *     newest one
     */
    public List<DeadLetter> newest(@Nullable DeadLetter after, int limit) {
        try (KafkaConsumer<byte[], byte[]> reader = reader()) {
            List<TopicPartition> partitions = partitions(reader);
            return newest(
                    (partition, from, end, onRecord) -> LogRange.read("dlq", reader, partition, from, end, onRecord),
                    reader.beginningOffsets(partitions),
                    reader.endOffsets(partitions),
                    after,
                    limit);
        }
    }

    /**
     * Reads backwards from the end, because a note comes after the dead letter that it closes. Reads only as far as
     * necessary.
     */
    static List<DeadLetter> newest(
            Range log,
            Map<TopicPartition, Long> starts,
            Map<TopicPartition, Long> ends,
            @Nullable DeadLetter after,
            int limit) {
        PriorityQueue<DeadLetter> newest = new PriorityQueue<>(NEWEST_FIRST.reversed());
        starts.forEach((partition, start) -> {
            Set<Long> closed = new HashSet<>();
            long end = ends.getOrDefault(partition, 0L);
            int window = FIRST_WINDOW;
            int found = 0;
            while (end > start && found < limit) {
                long from = Math.max(start, end - window);
                List<DeadLetter> letters = new ArrayList<>();
                log.read(partition, from, end, record -> {
                    DeadLetter.closes(record).ifPresent(closed::add);
                    DeadLetter.of(record)
                            .filter(letter -> after == null || NEWEST_FIRST.compare(letter, after) > 0)
                            .ifPresent(letter -> letters.add(letter.withoutValue()));
                });
                letters.removeIf(letter -> closed.contains(letter.offset()));
                found += letters.size();
                newest.addAll(letters);
                while (newest.size() > limit) {
                    newest.remove();
                }
                end = from;
                window = Math.min(window * 4, LARGEST_WINDOW);
            }
        });
        return newest.stream().sorted(NEWEST_FIRST).toList();
    }

    /** Returns one dead letter, with its value. */
    public Found find(int number, long offset) {
        try (KafkaConsumer<byte[], byte[]> reader = reader()) {
            TopicPartition partition = new TopicPartition(settings.topics().deadLetters(), number);
            if (!partitions(reader).contains(partition)) {
                return new Found.Nothing();
            }
            long start = reader.beginningOffsets(List.of(partition)).getOrDefault(partition, 0L);
            long end = reader.endOffsets(List.of(partition)).getOrDefault(partition, 0L);
            if (offset < start || offset >= end) {
                return new Found.Nothing();
            }
            return find(
                    (_, from, to, onRecord) -> LogRange.read("dlq", reader, partition, from, to, onRecord),
                    partition,
                    offset,
                    end);
        }
    }

    /** Reads the dead letter at the offset, and searches the later records for a note that closes it. */
    static Found find(Range log, TopicPartition partition, long offset, long end) {
        AtomicReference<Found> found = new AtomicReference<>(new Found.Nothing());
        log.read(partition, offset, end, record -> {
            if (record.offset() == offset) {
                DeadLetter.of(record).ifPresent(letter -> found.set(new Found.Open(letter)));
            } else if (DeadLetter.closes(record)
                    .filter(closed -> closed == offset)
                    .isPresent()) {
                found.set(new Found.Closed(DeadLetter.closed(record)));
            }
        });
        return found.get();
    }

    private List<TopicPartition> partitions(KafkaConsumer<byte[], byte[]> reader) {
        String topic = settings.topics().deadLetters();
        return reader.partitionsFor(topic).stream()
                .map(partition -> new TopicPartition(topic, partition.partition()))
                .toList();
    }

    private KafkaConsumer<byte[], byte[]> reader() {
        return kafka.briefReader(
                "penstock-dlq",
                Map.of(
                        ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG,
                        5_000,
                        ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                        100));
    }

    /**
     * Parses an id in the form of {@link DeadLetter#id} into a partition number and an offset; empty if the text has
     * another form.
     */
    public static Optional<long[]> parse(String id) {
        if (!id.matches("\\d{1,6}-\\d{1,18}")) {
            return Optional.empty();
        }
        int dash = id.indexOf('-');
        return Optional.of(new long[] {Long.parseLong(id.substring(0, dash)), Long.parseLong(id.substring(dash + 1))});
    }
}
