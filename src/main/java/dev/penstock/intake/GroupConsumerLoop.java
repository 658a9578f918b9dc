package dev.penstock.intake;

import dev.penstock.job.RecordPlace;
import dev.penstock.wire.Reason;
import dev.penstock.wire.RecordGuard;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
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
 * One member of a classic consumer group and its thread. It hands records over as they come, whatever became of those before
 * them, and commits of each partition how far everything is done. It polls all the time, so that no job is too long for the
 * group: partitions pause while enough is in hand.
 *
 * <p>While the record at the head of a partition is not due, the loop reads on, and hands over those records that need not wait
 * for their time any more. From the head on it goes on when that is due, and passes over what was handed over. When there is
 * more that need not wait it looks again at all from the head on.
 *
 * <p>Everything here belongs to the loop's thread, except {@link #finished}, {@link #stop} and {@link #close}.
 */
final class GroupConsumerLoop implements Runnable {
    private static final Logger LOG = Logger.getLogger(GroupConsumerLoop.class);
    private static final RecordGuard GUARD = RecordGuard.of("intake");
    private static final Duration POLL = Duration.ofMillis(100);
    private static final Duration AFTER_FAILURE = Duration.ofSeconds(2);
    private static final long UNKNOWN = -1;
    private static final Duration HAND_BACK_WITHIN = Duration.ofSeconds(3);
    private static final Duration COMMIT_WITHIN = Duration.ofSeconds(5);
    /** Of each partition: so many may be handed over before their time, while the one at the head waits. */
    private static final int MOST_EARLY = 1_000;

    /** All that is not due is looked at again at most so often. */
    private static final Duration LOOK_AGAIN = Duration.ofSeconds(1);

    private final Setup setup;
    private final LinkedBlockingQueue<Finish> finishes = new LinkedBlockingQueue<>();
    private final Map<TopicPartition, Partition> partitions = new HashMap<>();
    private final List<Again> again = new ArrayList<>();
    private int inHand;
    /** While it waits for the group or the broker its heartbeats go on. */
    private long movedAt;

    private volatile boolean stopping;
    private volatile boolean closing;

    private record Finish(GroupDelivery held, boolean done) {}

    /** A record whose run ended without a word. */
    private record Again(GroupDelivery held, Instant at) {}

    /**
     * What the loop is for.
     *
     * @param consumers makes its consumer, a member of a group, with no auto commit
     * @param origins of a record; empty: it is nobody's, and skipped
     * @param alwaysMayHaveRun whether every record may have been run before; else those that lay in a partition when it was
     *     given to this replica
     * @param capacity how many records it may have in hand
     * @param sessionTimeout of the group: who says nothing for so long has lost its partitions
     * @param open whether there is any node for a job now
     * @param early which records need not wait for their time
     * @param onRecord must not block: it starts the record's run
     * @param onLost the run of that record has to stop
     * @param onLeave the run of that record has to stop and to hand it back
     */
    record Setup(
            String topic,
            Supplier<Consumer<byte[], byte[]>> consumers,
            Function<ConsumerRecord<byte[], byte[]>, Optional<Origin>> origins,
            boolean alwaysMayHaveRun,
            int capacity,
            Duration sessionTimeout,
            BooleanSupplier open,
            Early early,
            java.util.function.Consumer<RecordDelivery> onRecord,
            java.util.function.Consumer<RecordDelivery> onLost,
            java.util.function.Consumer<RecordDelivery> onLeave,
            RecordDelivery.Writers writers,
            Clock clock) {}

    /** Which records need not wait for their time. */
    interface Early {
        /** None. */
        Early NEVER = new Early() {
            @Override
            public boolean isDue(Origin origin) {
                return false;
            }

            @Override
            public long version() {
                return 0;
            }
        };

        /** Whether it may be taken now, though its time is not there. */
        boolean isDue(Origin origin);

        /** Another one where that may have changed. */
        long version();
    }

    /** A partition that is ours. */
    private static final class Partition {
        /** Records before it may have been run by whoever had the partition before. */
        private final long endWhenGiven;

        private final TreeMap<Long, GroupDelivery> open = new TreeMap<>();
        /** The first that has not been handed over. */
        private long next;

        private long committed = UNKNOWN;
        private Instant pausedUntil = Instant.MIN;
        /** Whether the consumer reads on behind the head, which is not due. */
        private boolean ahead;

        /** Those behind {@link #next} that were handed over. */
        private final TreeSet<Long> early = new TreeSet<>();

        private long earlyVersion = UNKNOWN;
        private Instant lookedAt = Instant.MIN;

        Partition(long endWhenGiven, long next) {
            this.endWhenGiven = endWhenGiven;
            this.next = next;
        }

        long done() {
            return open.isEmpty() ? next : Math.min(next, open.firstKey());
        }

        /** The next one that was not handed over. */
        private void passEarly() {
            while (early.remove(next)) {
                next++;
            }
        }
    }

    GroupConsumerLoop(Setup setup) {
        this.setup = setup;
    }

    /** From the thread of a run. */
    void finished(GroupDelivery held, boolean done) {
        finishes.add(new Finish(held, done));
    }

    /** Takes no further records. */
    void stop() {
        stopping = true;
    }

    /** Ends the loop, and leaves the group. */
    void close() {
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
                pause();
            }
        }
    }

    private void serve(Consumer<byte[], byte[]> consumer) throws InterruptedException {
        consumer.subscribe(List.of(setup.topic()), new Assignments(consumer));
        movedAt = System.nanoTime();
        while (!closing) {
            try {
                long stoodStill = System.nanoTime() - movedAt;
                if (stoodStill > setup.sessionTimeout().toNanos()) {
                    throw new IllegalStateException("it stood still for %d ms: another consumer may have the partitions"
                            .formatted(stoodStill / 1_000_000));
                }
                movedAt = System.nanoTime();
                settle(Duration.ZERO);
                commit(consumer);
                regulate(consumer);
                accept(GUARD.poll(consumer, POLL));
                handOverAgain();
            } catch (WakeupException _) {
                // nobody wakes it
            }
        }
        settle(Duration.ZERO);
        commitNow(consumer, partitions.keySet());
        loseAll(Set.copyOf(partitions.keySet()));
    }

    /** Takes note of runs that have ended; waits that long for one. */
    private void settle(Duration wait) throws InterruptedException {
        Finish finish = finishes.poll(wait.toNanos(), TimeUnit.NANOSECONDS);
        while (finish != null) {
            GroupDelivery held = finish.held();
            Partition partition = partitions.get(partitionOf(held));
            if (partition != null && partition.open.get(held.place().offset()) == held) {
                if (finish.done()) {
                    partition.open.remove(held.place().offset());
                } else {
                    held.lose();
                    again.add(new Again(held, setup.clock().instant().plus(AFTER_FAILURE)));
                }
            }
            finish = finishes.poll();
        }
        inHand = partitions.values().stream()
                .mapToInt(partition -> partition.open.size())
                .sum();
    }

    private void handOverAgain() {
        Instant now = setup.clock().instant();
        for (Again due : List.copyOf(again)) {
            if (!due.at().isAfter(now)) {
                again.remove(due);
                Partition partition = partitions.get(partitionOf(due.held()));
                if (partition != null && !stopping) {
                    // where no copy could count it, this replica does
                    handOver(
                            partition,
                            due.held().origin().withBrokenRuns(due.held().brokenRuns()),
                            true);
                }
            }
        }
    }

    private void regulate(Consumer<byte[], byte[]> consumer) {
        boolean full = stopping || inHand >= setup.capacity() || !setup.open().getAsBoolean();
        Instant now = setup.clock().instant();
        Set<TopicPartition> paused = new HashSet<>();
        partitions.forEach((place, partition) -> {
            if (full) {
                paused.add(place);
            } else if (partition.ahead) {
                lookAhead(consumer, place, partition, now);
            }
        });
        Set<TopicPartition> others = new HashSet<>(partitions.keySet());
        others.removeAll(paused);
        consumer.pause(paused);
        consumer.resume(others);
    }

    /** Back to the head when that is due, or when more may be taken before its time. */
    private void lookAhead(Consumer<byte[], byte[]> consumer, TopicPartition place, Partition partition, Instant now) {
        boolean isDue = !partition.pausedUntil.isAfter(now);
        boolean again = partition.earlyVersion != setup.early().version()
                && !partition.lookedAt.plus(LOOK_AGAIN).isAfter(now);
        if (isDue || again) {
            partition.ahead = !isDue;
            partition.earlyVersion = setup.early().version();
            partition.lookedAt = now;
            consumer.seek(place, partition.next);
        }
    }

    private void accept(ConsumerRecords<byte[], byte[]> records) {
        Instant now = setup.clock().instant();
        for (Map.Entry<TopicPartition, OffsetAndMetadata> after :
                records.nextOffsets().entrySet()) {
            TopicPartition place = after.getKey();
            Partition partition = partitions.get(place);
            if (partition == null) {
                continue;
            }
            for (ConsumerRecord<byte[], byte[]> record : records.records(place)) {
                if (!GUARD.read(record, () -> accept(partition, record, now))) {
                    passOver(partition, record);
                }
            }
            if (!partition.ahead) {
                // the marks of transactions and what was aborted are offsets without a record
                partition.next = Math.max(partition.next, after.getValue().offset());
            }
        }
    }

    private void accept(Partition partition, ConsumerRecord<byte[], byte[]> record, Instant now) {
        if (record.offset() < partition.next || partition.early.contains(record.offset())) {
            partition.next = partition.ahead ? partition.next : Math.max(partition.next, record.offset());
            partition.passEarly();
            return;
        }
        Origin origin = setup.origins().apply(record).orElse(null);
        if (!partition.ahead && origin != null && origin.notBefore().isAfter(now)) {
            partition.next = record.offset();
            partition.pausedUntil = origin.notBefore();
            partition.ahead = true;
            partition.earlyVersion = setup.early().version();
            partition.lookedAt = now;
        }
        boolean mayHaveRun = setup.alwaysMayHaveRun() || record.offset() < partition.endWhenGiven;
        if (!partition.ahead) {
            partition.next = record.offset() + 1;
            if (origin != null) {
                handOver(partition, origin, mayHaveRun);
            }
        } else if (origin == null
                || (partition.early.size() < MOST_EARLY && setup.early().isDue(origin))) {
            partition.early.add(record.offset());
            partition.passEarly();
            if (origin != null) {
                handOver(partition, origin, mayHaveRun);
            }
        }
    }

    /** What the loop could not read is refused by its run, like any other record that is no job. */
    private void passOver(Partition partition, ConsumerRecord<byte[], byte[]> record) {
        if (partition.ahead) {
            partition.early.add(record.offset());
            partition.passEarly();
        } else {
            partition.next = Math.max(partition.next, record.offset() + 1);
        }
        GroupDelivery held = new GroupDelivery(Origin.itself(record), true, setup.writers(), this);
        held.unread();
        partition.open.put(record.offset(), held);
        if (!GUARD.read(record, () -> setup.onRecord().accept(held))) {
            partition.open.remove(record.offset());
        }
    }

    private void handOver(Partition partition, Origin origin, boolean mayHaveRun) {
        GroupDelivery held = new GroupDelivery(origin, mayHaveRun, setup.writers(), this);
        partition.open.put(held.place().offset(), held);
        setup.onRecord().accept(held);
    }

    private void commit(Consumer<byte[], byte[]> consumer) {
        Map<TopicPartition, OffsetAndMetadata> offsets = due(partitions.keySet());
        if (!offsets.isEmpty()) {
            offsets.forEach((place, offset) -> committed(place, offset.offset()));
            consumer.commitAsync(offsets, (_, failure) -> {
                if (failure != null) {
                    LOG.debugf("topic=%s a commit failed, trying again: %s", setup.topic(), failure);
                    offsets.keySet().forEach(place -> committed(place, UNKNOWN));
                }
            });
        }
    }

    private void commitNow(Consumer<byte[], byte[]> consumer, Collection<TopicPartition> places) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (TopicPartition place : places) {
            Partition partition = partitions.get(place);
            if (partition != null) {
                offsets.put(place, new OffsetAndMetadata(partition.done()));
            }
        }
        try {
            consumer.commitSync(offsets, COMMIT_WITHIN);
        } catch (KafkaException e) {
            LOG.warnf("topic=%s a commit failed, the records come again: %s", setup.topic(), Reason.of(e));
        }
    }

    private Map<TopicPartition, OffsetAndMetadata> due(Collection<TopicPartition> places) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (TopicPartition place : places) {
            Partition partition = partitions.get(place);
            if (partition != null && partition.done() != partition.committed) {
                offsets.put(place, new OffsetAndMetadata(partition.done()));
            }
        }
        return offsets;
    }

    private void committed(TopicPartition place, long offset) {
        Partition partition = partitions.get(place);
        if (partition != null) {
            partition.committed = offset;
        }
    }

    private void loseAll(Collection<TopicPartition> places) {
        for (TopicPartition place : places) {
            Partition partition = partitions.remove(place);
            if (partition != null) {
                partition.open.values().forEach(held -> {
                    held.lose();
                    setup.onLost().accept(held);
                });
            }
        }
        again.removeIf(waiting -> !partitions.containsKey(partitionOf(waiting.held())));
    }

    private static TopicPartition partitionOf(GroupDelivery held) {
        RecordPlace place = held.place();
        return new TopicPartition(place.topic(), place.partition());
    }

    /** Called by the group, in this thread. */
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
                partitions.put(
                        place, new Partition(ends.getOrDefault(place, Long.MAX_VALUE), consumer.position(place)));
            }
            movedAt = System.nanoTime();
        }

        /** What has started is handed back before somebody else gets the partition. */
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> places) {
            Set<GroupDelivery> leaving = new HashSet<>();
            for (TopicPartition place : places) {
                Partition partition = partitions.get(place);
                if (partition != null) {
                    leaving.addAll(partition.open.values());
                }
            }
            // one that still waits for room has no run that could be stopped
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
            movedAt = System.nanoTime();
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> places) {
            loseAll(places);
        }
    }

    private static void pause() {
        try {
            Thread.sleep(AFTER_FAILURE);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }
}
