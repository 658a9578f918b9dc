package dev.penstock.reply;

import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import dev.penstock.wire.LogRange;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/** The dead-letter topic, read back: what lies there and was neither retried nor dropped. */
@Singleton
public class DeadLetterLog {
    private static final Comparator<DeadLetter> NEWEST_FIRST = Comparator.comparing(DeadLetter::at)
            .thenComparingInt(DeadLetter::partition)
            .thenComparingLong(DeadLetter::offset)
            .reversed();
    private static final int FIRST_WINDOW = 200;

    private final KafkaSettings kafka;
    private final Settings settings;

    public DeadLetterLog(KafkaSettings kafka, Settings settings) {
        this.kafka = kafka;
        this.settings = settings;
    }

    /** What was found under an id. */
    public sealed interface Found {
        record Open(DeadLetter letter) implements Found {}

        /** @param how what became of it */
        record Closed(String how) implements Found {}

        record Nothing() implements Found {}
    }

    /** The open letters of a partition, by offset, and what became of the others. */
    private record Part(Map<Long, DeadLetter> open, Map<Long, String> closed) {}

    /**
     * The newest ones, without their values.
     *
     * @param after an earlier list's last, whose place it need not have any more; null: from the newest on
     */
    public List<DeadLetter> newest(@Nullable DeadLetter after, int limit) {
        List<DeadLetter> all = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> reader = reader()) {
            List<TopicPartition> partitions = partitions(reader);
            Map<TopicPartition, Long> starts = reader.beginningOffsets(partitions);
            Map<TopicPartition, Long> ends = reader.endOffsets(partitions);
            for (TopicPartition partition : partitions) {
                long start = starts.getOrDefault(partition, 0L);
                long end = ends.getOrDefault(partition, 0L);
                long window = FIRST_WINDOW;
                while (true) {
                    long from = Math.max(start, end - window);
                    List<DeadLetter> found = read(reader, partition, from, end, false).open().values().stream()
                            .filter(letter -> after == null || NEWEST_FIRST.compare(letter, after) > 0)
                            .toList();
                    if (found.size() >= limit || from == start) {
                        all.addAll(found);
                        break;
                    }
                    window *= 4;
                }
            }
        }
        return all.stream().sorted(NEWEST_FIRST).limit(limit).toList();
    }

    /** One of them, with its value. */
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
            Part part = read(reader, partition, offset, end, true);
            String how = part.closed().get(offset);
            DeadLetter letter = part.open().get(offset);
            return how != null ? new Found.Closed(how) : letter == null ? new Found.Nothing() : new Found.Open(letter);
        }
    }

    /** @param first whether the value of the first record is wanted; of the others none is */
    private Part read(
            KafkaConsumer<byte[], byte[]> reader, TopicPartition partition, long from, long end, boolean first) {
        Part part = new Part(new HashMap<>(), new HashMap<>());
        LogRange.read(reader, partition, from, end, record -> {
            Optional<Long> closes = DeadLetter.closes(record);
            if (closes.isPresent()) {
                part.open().remove(closes.get());
                part.closed().put(closes.get(), DeadLetter.closed(record));
            } else {
                DeadLetter.of(record)
                        .ifPresent(letter -> part.open()
                                .put(
                                        letter.offset(),
                                        first && letter.offset() == from ? letter : letter.withoutValue()));
            }
        });
        return part;
    }

    private List<TopicPartition> partitions(KafkaConsumer<byte[], byte[]> reader) {
        String topic = settings.topics().deadLetters();
        return reader.partitionsFor(topic).stream()
                .map(partition -> new TopicPartition(topic, partition.partition()))
                .toList();
    }

    private KafkaConsumer<byte[], byte[]> reader() {
        return kafka.reader(
                "penstock-dlq",
                Map.of(
                        ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG,
                        5_000,
                        ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                        100));
    }

    /** A partition's number and an offset, as {@link DeadLetter#id} writes them; empty where it is none. */
    public static Optional<long[]> parse(String id) {
        if (!id.matches("\\d{1,6}-\\d{1,18}")) {
            return Optional.empty();
        }
        int dash = id.indexOf('-');
        return Optional.of(new long[] {Long.parseLong(id.substring(0, dash)), Long.parseLong(id.substring(dash + 1))});
    }
}
