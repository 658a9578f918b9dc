package dev.penstock.kafka;

import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.jboss.logging.Logger;

/**
 * Reads a topic from its beginning, and then each new record. It has its own thread and no group, so every replica
 * sees all records. After an outage it reads from the beginning again.
 */
public final class TopicTail implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(TopicTail.class);
    private static final Duration POLL = Duration.ofMillis(500);
    /** A poll at the end of the topic takes its whole time, and the start of the service waits for the end. */
    private static final Duration POLL_WHILE_BEHIND = Duration.ofMillis(10);

    private static final Duration RETRY = Duration.ofSeconds(1);

    private final Names names;
    private final RecordGuard guard;
    private final Supplier<Consumer<byte[], byte[]>> consumers;
    private final Partitions partitions;
    private final Supplier<? extends Reader> readers;
    private final CountDownLatch caughtUp = new CountDownLatch(1);
    private final SupervisedThread thread;

    /**
     * The names of a tail.
     *
     * @param thread its thread
     * @param guard its {@link RecordGuard}
     * @param what what it reads, in words, for the log line of an outage
     */
    public record Names(String thread, String guard, String what) {}

    /** Takes the records of one read from the beginning, on the thread of the tail. */
    public interface Reader {
        /** Takes a record. If it fails, the tail skips the record. */
        void read(ConsumerRecord<byte[], byte[]> record);

        /**
         * Called after each poll.
         *
         * @param caughtUp whether this reader has seen all records that the topic had when the read began
         */
        void polled(boolean caughtUp);
    }

    /** Returns the partitions to read, before each poll. */
    @FunctionalInterface
    private interface Partitions {
        Collection<TopicPartition> of(Consumer<byte[], byte[]> consumer);
    }

    private TopicTail(
            Names names,
            Supplier<Consumer<byte[], byte[]>> consumers,
            Partitions partitions,
            Supplier<? extends Reader> readers) {
        this.names = names;
        this.consumers = consumers;
        this.partitions = partitions;
        this.readers = readers;
        guard = RecordGuard.of(names.guard());
        thread = new SupervisedThread(names.thread(), this::run);
    }

    /**
     * Returns a tail of all partitions of a topic, including partitions that are added later.
     *
     * @param consumers creates a consumer; the tail assigns its partitions and closes it
     * @param readers makes a reader for each read from the beginning
     */
    public static TopicTail ofTopic(
            Names names,
            Supplier<Consumer<byte[], byte[]>> consumers,
            String topic,
            Supplier<? extends Reader> readers) {
        return new TopicTail(
                names,
                consumers,
                consumer -> consumer.partitionsFor(topic).stream()
                        .map(partition -> new TopicPartition(topic, partition.partition()))
                        .collect(Collectors.toSet()),
                readers);
    }

    /**
     * Returns a tail of one partition.
     *
     * @param consumers creates a consumer; the tail assigns its partition and closes it
     * @param readers makes a reader for each read from the beginning
     */
    public static TopicTail ofPartition(
            Names names,
            Supplier<Consumer<byte[], byte[]>> consumers,
            TopicPartition partition,
            Supplier<? extends Reader> readers) {
        Set<TopicPartition> only = Set.of(partition);
        return new TopicTail(names, consumers, _ -> only, readers);
    }

    /** Starts the tail, and waits until it has read all records that the topic has now. It may be called only once. */
    public void follow() throws InterruptedException {
        thread.start();
        caughtUp.await();
    }

    /** Returns whether all records that were there at the start have been read. */
    public boolean isCaughtUp() {
        return caughtUp.getCount() == 0;
    }

    private void run() throws InterruptedException {
        do {
            try (Consumer<byte[], byte[]> consumer = consumers.get()) {
                read(consumer, readers.get());
            } catch (KafkaException e) {
                LOG.warnf("%s could not be read, trying again: %s", names.what(), Reason.of(e));
            }
        } while (thread.pause(RETRY));
    }

    private void read(Consumer<byte[], byte[]> consumer, Reader reader) {
        Set<TopicPartition> assigned = new HashSet<>();
        Map<TopicPartition, Long> ahead = new HashMap<>();
        boolean isBehind = true;
        while (!thread.isStopping()) {
            Set<TopicPartition> added = assign(consumer, assigned);
            if (isBehind && !added.isEmpty()) {
                ahead.putAll(consumer.endOffsets(added));
            }
            for (ConsumerRecord<byte[], byte[]> record : guard.poll(consumer, isBehind ? POLL_WHILE_BEHIND : POLL)) {
                guard.read(record, () -> reader.read(record));
            }
            if (isBehind) {
                ahead.entrySet().removeIf(end -> hasPassed(consumer, end.getKey(), end.getValue()));
                isBehind = !ahead.isEmpty();
            }
            reader.polled(!isBehind);
            if (!isBehind) {
                caughtUp.countDown();
            }
        }
    }

    /** @return the partitions that are new for the consumer; it reads them from the beginning */
    private Set<TopicPartition> assign(Consumer<byte[], byte[]> consumer, Set<TopicPartition> assigned) {
        Set<TopicPartition> added = new HashSet<>(partitions.of(consumer));
        added.removeAll(assigned);
        if (!added.isEmpty()) {
            assigned.addAll(added);
            consumer.assign(assigned);
            consumer.seekToBeginning(added);
        }
        return added;
    }

    /**
     * Returns whether the consumer has reached this offset. A partition without a leader has no position yet, and does
     * not block the others.
     */
    private static boolean hasPassed(Consumer<?, ?> consumer, TopicPartition partition, long end) {
        try {
            return consumer.position(partition, Duration.ZERO) >= end;
        } catch (TimeoutException _) {
            return false;
        }
    }

    @Override
    public void close() {
        thread.stop();
    }
}
