package dev.penstock.reply;

import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import dev.penstock.kafka.RecordGuard;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
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
 * Reads the live end of the reply partitions that this replica watches, and of no others. One consumer serves all
 * watchers. A watch attaches to the live end first, and reads older events after that. In the other order, it would
 * miss events in between.
 */
@Singleton
public final class LiveReplies {
    private static final Logger LOG = Logger.getLogger(LiveReplies.class);
    private static final RecordGuard GUARD = RecordGuard.of("live");
    private static final Duration POLL = Duration.ofMillis(200);
    private static final Duration ATTACH_WITHIN = Duration.ofSeconds(10);
    private static final Duration AFTER_FAILURE = Duration.ofSeconds(1);
    private static final JobFailure UNREADABLE =
            JobFailure.of(JobFailure.Code.BROKER_UNAVAILABLE, "the reply topic cannot be read now: resume in a moment");

    private final Function<Map<String, Object>, Consumer<byte[], byte[]>> readers;
    private final ReplyTopic topic;
    private final PartitionScans scans;
    private final int maxRecord;
    private final WatchRoom room;
    private final LinkedBlockingQueue<Request> requests = new LinkedBlockingQueue<>();
    private volatile boolean closed;
    private volatile @Nullable Consumer<byte[], byte[]> polling;
    private volatile @Nullable SupervisedThread reader;

    /** Owned by the reading thread. */
    private final Map<Integer, Map<ByteBuffer, List<Watch>>> watches = new HashMap<>();

    private sealed interface Request {
        /** @param attached completes with the offset from which the watch sees everything live */
        record Attach(Watch watch, CompletableFuture<Long> attached) implements Request {}

        record Detach(Watch watch) implements Request {}
    }

    @Inject
    public LiveReplies(KafkaClients kafka, Settings settings, ReplyTopic topic, PartitionScans scans) {
        this(
                properties -> kafka.reader("penstock-live", properties),
                settings.maxRecord(),
                topic,
                scans,
                new WatchRoom(settings.api().streamBytes(), settings.api().allStreamsBytes(), System::nanoTime));
    }

    /** @param readers makes a consumer with these properties */
    LiveReplies(
            Function<Map<String, Object>, Consumer<byte[], byte[]>> readers,
            int maxRecord,
            ReplyTopic topic,
            PartitionScans scans,
            WatchRoom room) {
        this.room = room;
        this.readers = readers;
        this.maxRecord = maxRecord;
        this.topic = topic;
        this.scans = scans;
    }

    /** The broker did not answer. */
    public static final class Unavailable extends Exception {
        Unavailable(@Nullable Throwable cause) {
            super("the reply topic cannot be read now", cause);
        }
    }

    /** Ends the watch that has been idle for the longest time, if it had events to read for at least that time. */
    public boolean dropStalled(Duration atLeast) {
        return room.drop(atLeast);
    }

    /** Watches a job that has no events yet. Its id is new, and its record is written after this method returns. */
    public Watch watchFresh(JobId id) throws Unavailable, InterruptedException {
        Watch watch = attach(id, ResumePoint.START);
        watch.caughtUp(null);
        return watch;
    }

    /**
     * What is known of a job's earlier events.
     *
     * @param offset the job has no event before it
     * @param outcome the outcome, or the refusal in its place; null if none is known. It is read if the topic has lost it
     * @param records the job does not exist if all of these are refused; empty to ignore refusals; null if no record
     *     is known, and then the job does not exist if its only events are refusals
     */
    public record Past(
            long offset, @Nullable Kept outcome, @Nullable Set<RecordPlace> records) {
        /** Nothing is known, and the watch must read the partition from its beginning. */
        public static final Past UNKNOWN = new Past(0, null, null);

        /** Like {@link #UNKNOWN}, for a watcher that writes a record of its own. */
        public static final Past UNREAD = new Past(0, null, Set.of());
    }

    /** An outcome that is kept elsewhere, and may be large. */
    public interface Kept {
        /** Where it lies on the topic, or lay. */
        long offset();

        /** Reads it; may take a while. */
        Watch.Known read() throws Exception;

        /** One that is there already. */
        static Kept of(Watch.Known known) {
            return new Kept() {
                @Override
                public long offset() {
                    return known.offset();
                }

                @Override
                public Watch.Known read() {
                    return known;
                }
            };
        }
    }

    /** Finds out what is known of a job's earlier events. */
    @FunctionalInterface
    public interface Lookup<X extends Exception> {
        Past ask() throws X, InterruptedException;
    }

    /**
     * Watches a job from the given point on. Existing events come first.
     *
     * @param look runs after the watch is attached to the live end, so that no event is missed
     */
    public <X extends Exception> Watch watch(JobId id, ResumePoint from, Lookup<X> look)
            throws Unavailable, InterruptedException, X {
        Watch watch = attach(id, from);
        boolean known = false;
        try {
            Past past = look.ask();
            known = true;
            watch.endsWithRefusalOf(past.records());
            catchUp(watch, past, Math.max(from.nextOffset(), past.offset()));
            return watch;
        } finally {
            if (!known) {
                watch.close();
            }
        }
    }

    private void catchUp(Watch watch, Past past, long from) {
        var _ = scans.scan(watch.partition(), new PartitionScans.Start.Offset(from), watch.key(), watch::older)
                .whenComplete((next, failure) -> {
                    if (failure != null) {
                        LOG.warnf("job=%s its events could not be read: %s", watch.id(), Reason.of(failure));
                        watch.fail(UNREADABLE);
                    } else if (!watch.goOnWhenThereIsRoom(() -> catchUp(watch, past, next))) {
                        Kept outcome = past.outcome();
                        if (outcome != null && outcome.offset() < next && watch.mayNeed(outcome.offset())) {
                            catchUp(watch, outcome);
                        } else {
                            watch.caughtUp(null);
                        }
                    }
                });
    }

    /** With what the topic does not have any more. Others wait for the thread of the scan. */
    private static void catchUp(Watch watch, Kept outcome) {
        Thread.ofVirtual().name("outcome").start(() -> {
            try {
                watch.caughtUp(outcome.read());
            } catch (Exception e) {
                LOG.warnf("job=%s its outcome could not be read: %s", watch.id(), Reason.of(e));
                watch.fail(UNREADABLE);
            }
        });
    }

    private Watch attach(JobId id, ResumePoint from) throws Unavailable, InterruptedException {
        Watch watch = new Watch(id, partitionOf(id), from, this::detach, room);
        CompletableFuture<Long> attached = new CompletableFuture<>();
        begin();
        send(new Request.Attach(watch, attached));
        boolean done = false;
        try {
            long unused = attached.get(ATTACH_WITHIN.toMillis(), TimeUnit.MILLISECONDS);
            LOG.tracef("job=%s attached at %d", id, unused);
            done = true;
            return watch;
        } catch (ExecutionException | TimeoutException e) {
            throw new Unavailable(e);
        } finally {
            if (!done) {
                // the watch may still be attached later, and it leaves then
                watch.close();
            }
        }
    }

    private int partitionOf(JobId id) throws Unavailable {
        try {
            return topic.partitionOf(id);
        } catch (KafkaException e) {
            throw new Unavailable(e);
        }
    }

    private void detach(Watch watch) {
        send(new Request.Detach(watch));
    }

    private void send(Request request) {
        requests.add(request);
        Consumer<byte[], byte[]> consumer = polling;
        if (consumer != null) {
            consumer.wakeup();
        }
    }

    private synchronized void begin() {
        if (reader == null) {
            SupervisedThread thread = new SupervisedThread("penstock-live", this::read);
            thread.start();
            reader = thread;
        }
    }

    /** Fails all watchers whenever it ends, so that no watcher waits for a thread that does not read. */
    private void read() throws InterruptedException {
        try {
            follow();
        } finally {
            watches.values()
                    .forEach(keys -> keys.values().forEach(list -> list.forEach(watch -> watch.fail(UNREADABLE))));
            watches.clear();
        }
    }

    private void follow() throws InterruptedException {
        Map<String, Object> properties = Map.of(
                // a new partition waits for the fetch that is under way
                ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG,
                50,
                ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG,
                5_000,
                ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG,
                maxRecord + 65_536);
        while (!closed) {
            try (Consumer<byte[], byte[]> consumer = readers.apply(properties)) {
                follow(consumer);
            } catch (KafkaException e) {
                LOG.warnf("the live end of %s was lost: %s", topic.name(), Reason.of(e));
                watches.values()
                        .forEach(keys -> keys.values().forEach(list -> list.forEach(watch -> watch.fail(UNREADABLE))));
                watches.clear();
                Thread.sleep(AFTER_FAILURE);
            }
        }
    }

    private void follow(Consumer<byte[], byte[]> consumer) throws InterruptedException {
        while (!closed) {
            // with nothing to read, the thread waits for the first watcher
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
        TopicPartition partition = new TopicPartition(topic.name(), watch.partition());
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
     * Repeats a call that a wake-up interrupts. Wake-ups are meant for a poll, and may hit the calls after it: one
     * for each watcher that attached or left in the meantime.
     */
    private static long untroubled(LongSupplier call) {
        while (true) {
            try {
                return call.getAsLong();
            } catch (WakeupException _) {
                // each wake-up hits one call
            }
        }
    }

    private Set<TopicPartition> assigned() {
        Set<TopicPartition> partitions = new HashSet<>();
        watches.keySet().forEach(partition -> partitions.add(new TopicPartition(topic.name(), partition)));
        return partitions;
    }

    @PreDestroy
    void close() {
        closed = true;
        SupervisedThread thread = reader;
        if (thread != null) {
            thread.stop();
        }
        Consumer<byte[], byte[]> consumer = polling;
        if (consumer != null) {
            consumer.wakeup();
        }
    }
}
