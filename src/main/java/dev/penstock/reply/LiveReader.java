package dev.penstock.reply;

import dev.penstock.job.JobFailure;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Follows the live end of the reply partitions that have watches, on a thread of its own. It shows each record to the
 * watches of its job. The thread starts with the first watch.
 */
final class LiveReader implements AutoCloseable {
    /** The failure that a watch gets when its partition cannot be read. */
    static final JobFailure UNREADABLE =
            JobFailure.of(JobFailure.Code.BROKER_UNAVAILABLE, "the reply topic cannot be read now: resume in a moment");

    private static final Logger LOG = Logger.getLogger(LiveReader.class);
    private static final RecordGuard GUARD = RecordGuard.of("live");
    private static final Duration POLL = Duration.ofMillis(200);
    private static final Duration AFTER_FAILURE = Duration.ofSeconds(1);

    private final Function<Map<String, Object>, Consumer<byte[], byte[]>> readers;
    private final String topic;
    private final int maxRecord;
    private final LinkedBlockingQueue<Request> requests = new LinkedBlockingQueue<>();
    private final SupervisedThread thread = new SupervisedThread("penstock-live", this::read);
    private final AtomicBoolean started = new AtomicBoolean();
    private volatile @Nullable Consumer<byte[], byte[]> polling;

    /** Owned by the reading thread. */
    private final Map<Integer, Map<ByteBuffer, List<Watch>>> watches = new HashMap<>();

    private sealed interface Request {
        /**
         * @param attached completes with an offset; the live reader gives every record from this offset to the watch
         */
        record Attach(Watch watch, CompletableFuture<Long> attached) implements Request {}

        record Detach(Watch watch) implements Request {}
    }

    /** @param readers makes a consumer with these properties */
    LiveReader(Function<Map<String, Object>, Consumer<byte[], byte[]>> readers, String topic, int maxRecord) {
        this.readers = readers;
        this.topic = topic;
        this.maxRecord = maxRecord;
    }

    /**
     * @return a future that completes with an offset; the live reader gives every record from this offset to the watch
     */
    CompletableFuture<Long> attach(Watch watch) {
        CompletableFuture<Long> attached = new CompletableFuture<>();
        if (started.compareAndSet(false, true)) {
            thread.start();
        }
        send(new Request.Attach(watch, attached));
        return attached;
    }

    void detach(Watch watch) {
        send(new Request.Detach(watch));
    }

    private void send(Request request) {
        requests.add(request);
        Consumer<byte[], byte[]> consumer = polling;
        if (consumer != null) {
            consumer.wakeup();
        }
    }

    /**
     * Follows the live end. When this method ends for any reason, it fails all watchers, so that none of them waits
     * for a thread that has ended.
     */
    private void read() throws InterruptedException {
        try {
            follow();
        } finally {
            failAll();
        }
    }

    private void failAll() {
        watches.values().forEach(keys -> keys.values().forEach(list -> list.forEach(watch -> watch.fail(UNREADABLE))));
        watches.clear();
    }

    private void follow() throws InterruptedException {
        Map<String, Object> properties = Map.of(
                // a new partition waits for the current fetch, so fetches must be short
                ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG,
                50,
                ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG,
                5_000,
                ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG,
                maxRecord + 65_536);
        do {
            try (Consumer<byte[], byte[]> consumer = readers.apply(properties)) {
                follow(consumer);
            } catch (KafkaException e) {
                LOG.warnf("the live end of %s was lost: %s", topic, Reason.of(e));
                failAll();
            }
        } while (thread.pause(AFTER_FAILURE));
    }

    private void follow(Consumer<byte[], byte[]> consumer) throws InterruptedException {
        while (!thread.isStopping()) {
            // if there is no watch, there is nothing to read: wait for the first watch
            Request request = watches.isEmpty() ? requests.poll(1, TimeUnit.SECONDS) : requests.poll();
            while (request != null) {
                serve(request, consumer);
                request = requests.poll();
            }
            if (!watches.isEmpty()) {
                poll(consumer);
            }
        }
    }

    private void poll(Consumer<byte[], byte[]> consumer) {
        polling = consumer;
        try {
            if (!requests.isEmpty()) {
                return;
            }
            for (ConsumerRecord<byte[], byte[]> record : GUARD.poll(consumer, POLL)) {
                Map<ByteBuffer, List<Watch>> keys = watches.get(record.partition());
                if (keys != null && record.key() != null) {
                    keys.getOrDefault(ByteBuffer.wrap(record.key()), List.of()).forEach(watch -> show(watch, record));
                }
            }
        } catch (WakeupException _) {
            // a watcher attaches or leaves
        } finally {
            polling = null;
        }
    }

    /** Gives a record to one watch. If the watch cannot read it, other watches are not affected. */
    private static void show(Watch watch, ConsumerRecord<byte[], byte[]> record) {
        GUARD.read(record, () -> watch.live(record));
    }

    private void serve(Request request, Consumer<byte[], byte[]> consumer) {
        switch (request) {
            case Request.Attach(Watch watch, CompletableFuture<Long> attached) -> {
                try {
                    attached.complete(attach(watch, consumer));
                } catch (KafkaException e) {
                    attached.completeExceptionally(e);
                } catch (RuntimeException e) {
                    attached.completeExceptionally(e);
                    throw e;
                }
            }
            case Request.Detach(Watch watch) -> {
                Map<ByteBuffer, List<Watch>> keys = watches.getOrDefault(watch.partition(), Map.of());
                ByteBuffer key = ByteBuffer.wrap(watch.key());
                List<Watch> same = keys.get(key);
                if (same != null && same.remove(watch) && same.isEmpty()) {
                    keys.remove(key);
                    if (keys.isEmpty()) {
                        watches.remove(watch.partition());
                        consumer.assign(assigned());
                    }
                }
            }
        }
    }

    private long attach(Watch watch, Consumer<byte[], byte[]> consumer) {
        TopicPartition partition = new TopicPartition(topic, watch.partition());
        boolean isNew = !watches.containsKey(watch.partition());
        if (isNew) {
            long end = untroubled(() -> consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L));
            Set<TopicPartition> all = new HashSet<>(assigned());
            all.add(partition);
            consumer.assign(all);
            consumer.seek(partition, end);
        }
        watches.computeIfAbsent(watch.partition(), _ -> new HashMap<>())
                .computeIfAbsent(ByteBuffer.wrap(watch.key()), _ -> new ArrayList<>())
                .add(watch);
        return untroubled(() -> consumer.position(partition));
    }

    /**
     * Repeats a call that a wake-up interrupts. A wake-up is meant for a poll, but may interrupt a later call. There
     * is one wake-up for each watcher that attached or left in the meantime.
     */
    private static long untroubled(LongSupplier call) {
        while (true) {
            try {
                return call.getAsLong();
            } catch (WakeupException _) {
                // try again: a wake-up interrupts only one call
            }
        }
    }

    private Set<TopicPartition> assigned() {
        Set<TopicPartition> partitions = new HashSet<>();
        watches.keySet().forEach(partition -> partitions.add(new TopicPartition(topic, partition)));
        return partitions;
    }

    @Override
    public void close() {
        thread.stop();
        Consumer<byte[], byte[]> consumer = polling;
        if (consumer != null) {
            consumer.wakeup();
        }
    }
}
