package dev.penstock.intake.group;

import dev.penstock.intake.record.LoopTime;
import dev.penstock.intake.record.OriginRecord;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.job.RecordPlace;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.wire.Reason;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.jboss.logging.Logger;

/**
 * One member of a classic consumer group and its thread. It starts a run for each record at once, without waiting for
 * earlier records. For each partition it commits the offset below which all records are finished. It pauses
 * partitions while enough records are in flight, but still polls. So it stays a member of the group during a long
 * job. {@link GroupPartition} decides which records the loop takes, and when.
 *
 * <p>Only the loop's thread uses this class, except for {@link #finished}, {@link #stop} and {@link #close}.
 */
public final class GroupConsumerLoop implements Runnable {
    private static final Logger LOG = Logger.getLogger(GroupConsumerLoop.class);
    private static final RecordGuard GUARD = RecordGuard.of("intake");
    private static final Duration POLL = Duration.ofMillis(100);
    private static final Duration AFTER_FAILURE = Duration.ofSeconds(2);
    private static final Duration HAND_BACK_WITHIN = Duration.ofSeconds(3);
    private static final Duration COMMIT_WITHIN = Duration.ofSeconds(5);

    private final Setup setup;
    private final LinkedBlockingQueue<Finish> finishes = new LinkedBlockingQueue<>();
    private final Map<TopicPartition, GroupPartition> partitions = new HashMap<>();
    private int inFlight;
    /**
     * The time when the loop last began a round or ended a rebalance. It shows for how long the thread was blocked. A
     * wait for the group or for the broker does not count as a standstill, because the consumer still sends
     * heartbeats.
     */
    private long movedAt;

    private volatile boolean stopping;
    private volatile boolean closing;

    private record Finish(GroupDelivery delivery, boolean done) {}

    /**
     * The parts that the loop needs.
     *
     * @param consumers creates the loop's consumer, a member of a group without auto commit
     * @param origins finds the origin of a record; empty if the record is no job and must be skipped
     * @param alwaysMayHaveRun true if every record may have run before; false if only those records may have run that
     *     were in their partition before this replica got it
     * @param capacity the largest number of records in flight
     * @param sessionTimeout the session timeout of the group; a member that is silent for this time loses its
     *     partitions
     * @param open tests whether any node takes jobs now
     * @param early decides which records may run before they are due
     * @param onRecord starts the run of a record; it must not block
     * @param onLost stops the run of a record that this replica has lost
     * @param onLeave stops the run of a record that goes to another replica; the run hands the job back
     * @param clock the clock for the times of records
     */
    public record Setup(
            String topic,
            Supplier<Consumer<byte[], byte[]>> consumers,
            Function<ConsumerRecord<byte[], byte[]>, Optional<OriginRecord>> origins,
            boolean alwaysMayHaveRun,
            int capacity,
            Duration sessionTimeout,
            BooleanSupplier open,
            GroupPartition.Early early,
            java.util.function.Consumer<RecordDelivery> onRecord,
            java.util.function.Consumer<RecordDelivery> onLost,
            java.util.function.Consumer<RecordDelivery> onLeave,
            RecordDelivery.Writers writers,
            Clock clock,
            LoopTime time) {}

    public GroupConsumerLoop(Setup setup) {
        this.setup = setup;
    }

    /** Reports the end of a run. The thread of that run calls it. */
    void finished(GroupDelivery delivery, boolean done) {
        finishes.add(new Finish(delivery, done));
    }

    /** Stops taking records. */
    void stop() {
        stopping = true;
    }

    /** Ends the loop, and leaves the group. */
    public void close() {
        stopping = true;
        closing = true;
    }

    @Override
    public void run() {
        while (!closing) {
            try (Consumer<byte[], byte[]> consumer = setup.consumers().get()) {
                serve(consumer);
            } catch (InterruptedException _) {
                return;
            } catch (RuntimeException e) {
                LOG.errorf(e, "topic=%s a consumer failed; it starts anew", setup.topic());
                loseAll(Set.copyOf(partitions.keySet()));
                setup.time().pause(AFTER_FAILURE);
            }
        }
    }

    private void serve(Consumer<byte[], byte[]> consumer) throws InterruptedException {
        consumer.subscribe(List.of(setup.topic()), new Assignments(consumer));
        movedAt = setup.time().now();
        while (!closing) {
            try {
                long stoodStill = setup.time().now() - movedAt;
                if (stoodStill > setup.sessionTimeout().toNanos()) {
                    throw new IllegalStateException("it stood still for %d ms: another consumer may have the partitions"
                            .formatted(stoodStill / 1_000_000));
                }
                movedAt = setup.time().now();
                settle(Duration.ZERO);
                commit(consumer);
                regulate(consumer);
                accept(GUARD.poll(consumer, POLL));
                handOverAgain();
            } catch (WakeupException _) {
                // cannot happen, because no other thread wakes the consumer
            }
        }
        settle(Duration.ZERO);
        commitNow(consumer, partitions.keySet());
        loseAll(Set.copyOf(partitions.keySet()));
    }

    /** Processes the runs that have ended. If none has ended, waits for one, but not longer than this time. */
    private void settle(Duration wait) throws InterruptedException {
        Finish finish = finishes.poll(wait.toNanos(), TimeUnit.NANOSECONDS);
        while (finish != null) {
            GroupDelivery delivery = finish.delivery();
            GroupPartition partition = partitions.get(partitionOf(delivery));
            if (partition != null
                    && partition.offsets().isUnfinished(delivery.place().offset(), delivery)) {
                if (finish.done()) {
                    partition.offsets().finish(delivery.place().offset(), delivery);
                } else {
                    delivery.lose();
                    partition.retry(delivery, setup.clock().instant().plus(AFTER_FAILURE));
                }
            }
            finish = finishes.poll();
        }
        inFlight = partitions.values().stream()
                .mapToInt(partition -> partition.offsets().size())
                .sum();
    }

    private void handOverAgain() {
        if (stopping) {
            return;
        }
        Instant now = setup.clock().instant();
        for (GroupPartition partition : partitions.values()) {
            for (GroupDelivery due : partition.retriesDue(now)) {
                // keep the number of broken runs here, because the deferred record with this number may not have been
                // written
                handOver(partition, due.origin().withBrokenRuns(due.brokenRuns()), true);
            }
        }
    }

    private void regulate(Consumer<byte[], byte[]> consumer) {
        boolean full = stopping || inFlight >= setup.capacity() || !setup.open().getAsBoolean();
        if (full) {
            consumer.pause(partitions.keySet());
            return;
        }
        Instant now = setup.clock().instant();
        partitions.forEach(
                (place, partition) -> partition.readAgain(now).ifPresent(offset -> consumer.seek(place, offset)));
        consumer.resume(partitions.keySet());
    }

    private void accept(ConsumerRecords<byte[], byte[]> records) {
        Instant now = setup.clock().instant();
        for (Map.Entry<TopicPartition, OffsetAndMetadata> after :
                records.nextOffsets().entrySet()) {
            TopicPartition place = after.getKey();
            GroupPartition partition = partitions.get(place);
            if (partition == null) {
                continue;
            }
            for (ConsumerRecord<byte[], byte[]> record : records.records(place)) {
                if (!GUARD.read(record, () -> accept(partition, record, now))) {
                    passOver(partition, record);
                }
            }
            partition.readTo(after.getValue().offset());
        }
    }

    private void accept(GroupPartition partition, ConsumerRecord<byte[], byte[]> record, Instant now) {
        if (partition.passes(record.offset())) {
            return;
        }
        OriginRecord origin = setup.origins().apply(record).orElse(null);
        if (!partition.takes(record.offset(), origin, now)) {
            return;
        }
        if (origin == null) {
            partition.offsets().skip(record.offset());
        } else {
            handOver(partition, origin, setup.alwaysMayHaveRun() || partition.mayHaveRun(record.offset()));
        }
    }

    /**
     * Starts a run for a record that the loop could not read. The run refuses it like any other record that is no job.
     */
    private void passOver(GroupPartition partition, ConsumerRecord<byte[], byte[]> record) {
        GroupDelivery delivery = new GroupDelivery(OriginRecord.itself(record), true, setup.writers(), this);
        delivery.unread();
        partition.readTo(record.offset());
        partition.offsets().take(record.offset(), delivery);
        if (!GUARD.read(record, () -> setup.onRecord().accept(delivery))) {
            partition.offsets().finish(record.offset(), delivery);
        }
    }

    private void handOver(GroupPartition partition, OriginRecord origin, boolean mayHaveRun) {
        GroupDelivery delivery = new GroupDelivery(origin, mayHaveRun, setup.writers(), this);
        partition.offsets().take(delivery.place().offset(), delivery);
        setup.onRecord().accept(delivery);
    }

    private void commit(Consumer<byte[], byte[]> consumer) {
        Map<TopicPartition, OffsetAndMetadata> due = new HashMap<>();
        partitions.forEach((place, partition) -> partition.offsets().due().ifPresent(offset -> {
            due.put(place, new OffsetAndMetadata(offset));
            partition.offsets().committed(offset);
        }));
        if (!due.isEmpty()) {
            consumer.commitAsync(due, (_, failure) -> {
                if (failure != null) {
                    LOG.debugf("topic=%s a commit failed, trying again: %s", setup.topic(), failure);
                    ours(due.keySet()).forEach(partition -> partition.offsets().commitFailed());
                }
            });
        }
    }

    private void commitNow(Consumer<byte[], byte[]> consumer, Collection<TopicPartition> places) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (TopicPartition place : places) {
            GroupPartition partition = partitions.get(place);
            if (partition != null) {
                offsets.put(place, new OffsetAndMetadata(partition.offsets().committable()));
            }
        }
        try {
            consumer.commitSync(offsets, COMMIT_WITHIN);
        } catch (KafkaException e) {
            LOG.warnf("topic=%s a commit failed, the records come again: %s", setup.topic(), Reason.of(e));
        }
    }

    /** Returns the given partitions, without those that this replica has lost. */
    private List<GroupPartition> ours(Collection<TopicPartition> places) {
        return places.stream().map(partitions::get).filter(Objects::nonNull).toList();
    }

    private void loseAll(Collection<TopicPartition> places) {
        for (TopicPartition place : places) {
            GroupPartition partition = partitions.remove(place);
            if (partition != null) {
                partition.offsets().unfinished().forEach(delivery -> {
                    delivery.lose();
                    setup.onLost().accept(delivery);
                });
            }
        }
    }

    private static TopicPartition partitionOf(GroupDelivery delivery) {
        RecordPlace place = delivery.place();
        return new TopicPartition(place.topic(), place.partition());
    }

    /** The consumer calls these methods on the loop's thread. */
    private final class Assignments implements ConsumerRebalanceListener {
        private final Consumer<byte[], byte[]> consumer;

        Assignments(Consumer<byte[], byte[]> consumer) {
            this.consumer = consumer;
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> places) {
            if (places.isEmpty()) {
                return;
            }
            Map<TopicPartition, Long> ends = consumer.endOffsets(places);
            for (TopicPartition place : places) {
                long end = ends.getOrDefault(place, Long.MAX_VALUE);
                partitions.put(place, new GroupPartition(consumer.position(place), end, setup.early()));
            }
            movedAt = setup.time().now();
        }

        /** Hands back the jobs that have started, before another member gets the partitions. */
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> places) {
            List<GroupDelivery> leaving = ours(places).stream()
                    .flatMap(partition -> partition.offsets().unfinished().stream())
                    .toList();
            // mark every record, because onLeave cannot stop a record that still waits for memory: it has no run yet
            leaving.forEach(GroupDelivery::leave);
            leaving.forEach(setup.onLeave());
            try {
                Instant until = setup.clock().instant().plus(HAND_BACK_WITHIN);
                while (!leaving.stream().allMatch(GroupDelivery::isOver)
                        && setup.clock().instant().isBefore(until)) {
                    settle(POLL);
                }
                settle(Duration.ZERO);
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
            commitNow(consumer, places);
            loseAll(places);
            movedAt = setup.time().now();
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> places) {
            loseAll(places);
        }
    }
}
