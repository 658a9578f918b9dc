package dev.penstock.cli.kafka;

import dev.penstock.cli.job.Problem;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.wire.record.EventHeaders;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * Distributes the events on the reply topic to the jobs for which the client waits. Opening the feed sets the offset in
 * each partition at which reading begins. One thread starts reading at the first subscription. It waits if a subscriber
 * is slow.
 */
final class ReplyFeed implements AutoCloseable {
    private static final RecordGuard GUARD = RecordGuard.of("replies");
    private static final int AHEAD = 1024;
    private static final Duration CLOSED_WITHIN = Duration.ofSeconds(2);
    private static final Duration POLL = Duration.ofMillis(500);
    /**
     * A consumer does not report that it has lost the broker. So after this silence the feed checks whether the broker
     * answers.
     */
    private static final Duration SILENCE = Duration.ofSeconds(20);

    private final KafkaAccess access;
    private final Consumer<byte[], byte[]> consumer;
    /** The ends of the partitions when the feed was opened. */
    private final Map<TopicPartition, Long> ends;

    private final Map<String, BlockingQueue<Next>> subscribers = new ConcurrentHashMap<>();
    private final AtomicBoolean started = new AtomicBoolean();
    private volatile @Nullable Thread reader;
    private volatile Next.@Nullable Broken broken;
    private volatile boolean closed;

    /** The offset at which reading begins. */
    enum From {
        BEGINNING,
        END
    }

    /** One entry in a subscriber's queue. */
    sealed interface Next {
        record Event(EventMark mark, Bytes value) implements Next {}

        /** The subscriber has received every event that the topic held when the feed was opened. */
        record CaughtUp() implements Next {}

        /** The feed has failed, and no event follows. */
        record Broken(Problem why) implements Next {}
    }

    ReplyFeed(KafkaAccess access, Consumer<byte[], byte[]> consumer, Map<TopicPartition, Long> ends) {
        this.access = access;
        this.consumer = consumer;
        this.ends = ends;
    }

    /** @param only a job, to read only its partition; null to read all partitions */
    static ReplyFeed open(KafkaAccess access, String topic, @Nullable JobId only, From from) throws Problem {
        KafkaConsumer<byte[], byte[]> consumer = access.consumer();
        try {
            int count = access.partitions(consumer, topic);
            IntStream wanted =
                    only == null ? IntStream.range(0, count) : IntStream.of(KafkaAccess.partition(only, count));
            List<TopicPartition> partitions = wanted.mapToObj(partition -> new TopicPartition(topic, partition))
                    .toList();
            consumer.assign(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            switch (from) {
                case BEGINNING -> consumer.seekToBeginning(partitions);
                // seekToEnd would take effect only with the first poll, when an answer may already have arrived
                case END -> ends.forEach(consumer::seek);
            }
            return new ReplyFeed(access, consumer, ends);
        } catch (KafkaException e) {
            consumer.close();
            throw access.problem(e);
        } catch (Problem e) {
            consumer.close();
            throw e;
        }
    }

    /** Subscribes to a job's events from now on. One thread takes them from the queue. */
    BlockingQueue<Next> subscribe(JobId id) throws Problem {
        BlockingQueue<Next> queue = new LinkedBlockingQueue<>(AHEAD);
        subscribers.put(id.value(), queue);
        if (started.compareAndSet(false, true)) {
            reader = Thread.ofPlatform().daemon().name("penstock-replies").start(this::read);
        }
        Next.Broken already = broken;
        if (already != null) {
            throw already.why();
        }
        return queue;
    }

    void unsubscribe(JobId id) {
        BlockingQueue<Next> queue = subscribers.remove(id.value());
        if (queue != null) {
            // frees the reading thread, which may be waiting for room in this queue
            queue.clear();
        }
    }

    private void read() {
        try (consumer) {
            long quietSince = System.nanoTime();
            boolean caughtUp = false;
            while (!closed) {
                if (!caughtUp && isCaughtUp()) {
                    caughtUp = true;
                    for (BlockingQueue<Next> queue : subscribers.values()) {
                        queue.put(new Next.CaughtUp());
                    }
                }
                ConsumerRecords<byte[], byte[]> records = GUARD.poll(consumer, POLL);
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    GUARD.read(record, () -> deliver(record));
                }
                if (!records.isEmpty()) {
                    quietSince = System.nanoTime();
                } else if (System.nanoTime() - quietSince > SILENCE.toNanos()) {
                    consumer.endOffsets(consumer.assignment());
                    quietSince = System.nanoTime();
                }
            }
        } catch (WakeupException | InterruptException | InterruptedException _) {
            // the feed was closed
        } catch (KafkaException e) {
            Next.Broken why = new Next.Broken(access.problem(e));
            broken = why;
            subscribers.values().forEach(queue -> report(queue, why));
        }
    }

    private boolean isCaughtUp() {
        return ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
    }

    private void deliver(ConsumerRecord<byte[], byte[]> record) throws InterruptedException {
        String id = EventHeaders.text(record.headers(), EventHeaders.JOB_ID);
        BlockingQueue<Next> queue = id == null ? null : subscribers.get(id);
        EventMark mark = EventHeaders.mark(record.headers()).orElse(null);
        if (queue != null && mark != null && record.value() != null) {
            queue.put(new Next.Event(mark, Bytes.wrap(record.value())));
        }
    }

    private static void report(BlockingQueue<Next> queue, Next.Broken why) {
        while (!queue.offer(why)) {
            queue.clear();
        }
    }

    @Override
    public void close() {
        closed = true;
        Thread thread = reader;
        if (thread == null) {
            consumer.close();
            return;
        }
        // wakes the thread from a poll; if it waits for room in a queue, unsubscribing the job frees it
        consumer.wakeup();
        try {
            thread.join(CLOSED_WITHIN);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }
}
