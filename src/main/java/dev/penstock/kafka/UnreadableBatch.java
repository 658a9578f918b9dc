package dev.penstock.kafka;

import java.time.Duration;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordDeserializationException;
import org.apache.kafka.common.errors.TimeoutException;

/**
 * A part of the log that a consumer cannot read: a batch with a wrong checksum, a batch that cannot be decompressed, or
 * a single record. The consumer stays before this part, and every poll throws an exception. In version 4.3.1 of Kafka's
 * client, only the message of the exception has the place.
 *
 * @param base the first offset of the batch; {@link #UNKNOWN} if the consumer does not report it
 * @param single true for one record, false for a batch
 */
record UnreadableBatch(TopicPartition partition, long base, boolean single) {
    private static final long UNKNOWN = -1;
    private static final int MOST_CAUSES = 10;
    private static final Duration POLL = Duration.ofMillis(200);
    private static final Duration PATIENCE = Duration.ofSeconds(5);

    private static final Pattern BATCH =
            Pattern.compile("Record batch for partition (\\S+) at offset (\\d+) is invalid");
    private static final Pattern RECORD = Pattern.compile("Record for partition (\\S+) at offset (\\d+) is invalid");
    private static final List<Pattern> WITHOUT_OFFSET = List.of(
            Pattern.compile("exception when fetching the next record from (\\S+)\\. If needed"),
            // the client's message for a batch that the broker cannot read either
            Pattern.compile("corrupt message when fetching offset \\d+ for topic-partition (\\S+)"),
            Pattern.compile("Failed to make progress reading messages at (\\S+)=\\d+\\."));

    /** @return the unreadable part; empty if the exception has another reason */
    static Optional<UnreadableBatch> of(KafkaException e, Collection<TopicPartition> assigned) {
        if (e instanceof RecordDeserializationException unreadable) {
            return Optional.of(new UnreadableBatch(unreadable.topicPartition(), unreadable.offset(), true));
        }
        Optional<UnreadableBatch> found = Optional.empty();
        Throwable cause = e;
        for (int i = 0; cause != null && i < MOST_CAUSES; i++) {
            Optional<UnreadableBatch> inCause = ofWords(String.valueOf(cause.getMessage()), assigned);
            // the innermost cause has the most details
            found = inCause.isPresent() ? inCause : found;
            cause = cause.getCause();
        }
        return found;
    }

    private static Optional<UnreadableBatch> ofWords(String words, Collection<TopicPartition> assigned) {
        Matcher batch = BATCH.matcher(words);
        if (batch.find()) {
            return of(batch.group(1), Long.parseLong(batch.group(2)), false, assigned);
        }
        Matcher record = RECORD.matcher(words);
        if (record.find()) {
            return of(record.group(1), Long.parseLong(record.group(2)), true, assigned);
        }
        for (Pattern pattern : WITHOUT_OFFSET) {
            Matcher other = pattern.matcher(words);
            if (other.find()) {
                return of(other.group(1), UNKNOWN, false, assigned);
            }
        }
        return Optional.empty();
    }

    private static Optional<UnreadableBatch> of(
            String partition, long base, boolean single, Collection<TopicPartition> assigned) {
        return assigned.stream()
                .filter(each -> each.toString().equals(partition))
                .findFirst()
                .map(each -> new UnreadableBatch(each, base, single));
    }

    /**
     * Finds the first offset after the unreadable part, and moves the consumer to this offset. No other record is lost:
     * the other partitions are paused during the search. If they return records anyway, the consumer reads these
     * records again later.
     *
     * @param at the consumer's position in the partition
     */
    <K, V> long skip(Consumer<K, V> consumer, long at) {
        long left = at;
        try {
            left = single ? Math.max(at, base) + 1 : search(consumer, at);
            return left;
        } finally {
            // if the search is interrupted or fails, the next poll begins it again
            if (consumer.assignment().contains(partition)) {
                consumer.seek(partition, left);
            }
        }
    }

    private <K, V> long search(Consumer<K, V> consumer, long at) {
        Set<TopicPartition> others = new HashSet<>(consumer.assignment());
        others.remove(partition);
        others.removeAll(consumer.paused());
        boolean wasPaused = consumer.paused().contains(partition);
        consumer.pause(others);
        try {
            return boundary(consumer, at);
        } finally {
            others.retainAll(consumer.assignment());
            consumer.resume(others);
            if (wasPaused && consumer.assignment().contains(partition)) {
                consumer.pause(List.of(partition));
            }
        }
    }

    /**
     * Finds the end of the unreadable part, first in steps that double, then by halving. The number of steps must be
     * small, because each step is a fetch, and a batch may hold a hundred thousand records.
     */
    private <K, V> long boundary(Consumer<K, V> consumer, long at) {
        long within = at;
        // the unreadable part ends at the end of the partition at the latest
        long behind = Math.max(at + 1, consumer.endOffsets(List.of(partition)).getOrDefault(partition, at + 1));
        long step = 1;
        while (within + 1 < behind) {
            long probe = within + Math.min(step, Math.ceilDiv(behind - within, 2L));
            probe = Math.min(probe, behind - 1);
            if (covers(consumer, probe)) {
                within = probe;
                step *= 2;
            } else {
                behind = probe;
            }
        }
        return behind;
    }

    /** Returns whether a read from this offset fails at the same unreadable part. */
    private <K, V> boolean covers(Consumer<K, V> consumer, long offset) {
        consumer.seek(partition, offset);
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (System.nanoTime() - until < 0) {
            try {
                ConsumerRecords<K, V> records = consumer.poll(POLL);
                for (TopicPartition other : records.partitions()) {
                    if (!other.equals(partition)) {
                        consumer.seek(other, records.records(other).getFirst().offset());
                    }
                }
                if (!records.records(partition).isEmpty() || consumer.position(partition) > offset) {
                    return false;
                }
            } catch (KafkaException e) {
                UnreadableBatch found = of(e, consumer.assignment()).orElseThrow(() -> e);
                if (found.partition().equals(partition)) {
                    return found.base() == base;
                }
            }
        }
        throw new TimeoutException("partition %s does not answer at offset %d".formatted(partition, offset));
    }
}
