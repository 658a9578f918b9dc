package dev.penstock.reply;

import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Reason;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.common.KafkaException;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Reads the live end of those reply partitions that have a watch in this replica, and of no other partitions. One
 * consumer serves all watchers. A watch attaches to the live end first, and reads older events after that. In the
 * other order, it would miss events in between.
 */
@Singleton
public final class LiveReplies {
    private static final Logger LOG = Logger.getLogger(LiveReplies.class);
    private static final Duration ATTACH_WITHIN = Duration.ofSeconds(10);

    private final LiveReader reader;
    private final ReplyTopic topic;
    private final PartitionScans scans;
    private final WatchRoom room;

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
        reader = new LiveReader(readers, topic.name(), maxRecord);
        this.room = room;
        this.topic = topic;
        this.scans = scans;
    }

    /** The broker did not answer. */
    public static final class Unavailable extends Exception {
        Unavailable(@Nullable Throwable cause) {
            super("the reply topic cannot be read now", cause);
        }
    }

    /**
     * Ends the watch that has been idle for the longest time, if it has unread events and has been idle for at least
     * the given time.
     */
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
     * @param offset an offset; the job has no event before it
     * @param outcome the outcome, or the refusal if the job was refused; null if neither is known. Its value is read
     *     only if the topic has dropped the event
     * @param records the known records of the job: if all of them are refused, the job does not exist. Empty:
     *     refusals are ignored. Null: no record is known, and if all events of the job are refusals, the job does not
     *     exist
     */
    public record Past(
            long offset, @Nullable Kept outcome, @Nullable Set<RecordPlace> records) {
        /** Nothing is known, and the watch must read the partition from its beginning. */
        public static final Past UNKNOWN = new Past(0, null, null);

        /** Like {@link #UNKNOWN}, but refusals are ignored: the watcher writes a record of its own. */
        public static final Past UNREAD = new Past(0, null, Set.of());
    }

    /** An outcome that is kept elsewhere, and may be large. */
    public interface Kept {
        /** Returns the offset that the outcome has, or had, on the topic. */
        long offset();

        /** Reads the outcome; this may take a while. */
        Watch.Known read() throws Exception;

        /** Returns an outcome that is already in memory. */
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
                        watch.fail(LiveReader.UNREADABLE);
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

    /**
     * Gives the watch an outcome that the topic has dropped. The outcome is read on a separate thread, because other
     * callers wait for the thread of the scan.
     */
    private static void catchUp(Watch watch, Kept outcome) {
        Thread.ofVirtual().name("outcome").start(() -> {
            try {
                watch.caughtUp(outcome.read());
            } catch (Exception e) {
                LOG.warnf("job=%s its outcome could not be read: %s", watch.id(), Reason.of(e));
                watch.fail(LiveReader.UNREADABLE);
            }
        });
    }

    private Watch attach(JobId id, ResumePoint from) throws Unavailable, InterruptedException {
        Watch watch = new Watch(id, partitionOf(id), from, reader::detach, room);
        CompletableFuture<Long> attached = reader.attach(watch);
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
                // this call also detaches the watch if the live reader attaches it later
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

    @PreDestroy
    void close() {
        reader.close();
    }
}
