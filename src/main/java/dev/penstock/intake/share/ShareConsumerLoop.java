package dev.penstock.intake.share;

import dev.penstock.intake.record.LoopTime;
import dev.penstock.intake.record.OriginRecord;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.job.RecordPlace;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.wire.Reason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ShareConsumer;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.errors.CorruptRecordException;
import org.apache.kafka.common.errors.GroupMaxSizeReachedException;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * One share consumer and its thread. It takes a batch, starts a run for each record, and acknowledges the records as
 * their runs end. It gets no new records before the whole batch is finished (clients 4.3.1). It renews the locks of the
 * records in flight; a record whose lock cannot be renewed may belong to another consumer.
 *
 * <p>Only the loop's thread uses this class, except for {@link #command}, {@link #stop} and {@link #close}.
 */
final class ShareConsumerLoop implements Runnable, LockKeeper {
    private static final Logger LOG = Logger.getLogger(ShareConsumerLoop.class);
    private static final RecordGuard GUARD = RecordGuard.of("intake");
    private static final Duration POLL = Duration.ofMillis(500);
    /**
     * The longest wait before the finished records of an unfinished batch are acknowledged. A crash during the wait
     * only costs a look-up.
     */
    private static final long ACKNOWLEDGE_AFTER_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

    private static final Duration ACKNOWLEDGE_WITHIN = Duration.ofSeconds(10);
    private static final int DEFAULT_LOCK_MILLIS = 30_000;
    private static final Duration AFTER_FAILURE = Duration.ofSeconds(2);
    private static final Duration WHILE_CLOSED = Duration.ofMillis(100);

    private final Setup setup;
    private final LinkedBlockingQueue<ShareDelivery.LockCommand> commands = new LinkedBlockingQueue<>();
    private final Map<RecordPlace, ShareDelivery> deliveries = new LinkedHashMap<>();
    private final Map<ShareDelivery, AcknowledgeType> finished = new LinkedHashMap<>();
    private volatile boolean stopping;
    private volatile boolean closing;
    private volatile boolean ended;
    /** The reason why the consumer rejects unreadable records; null if it rejects none. */
    private @Nullable CorruptRecordException unreadable;

    private long renewAtNanos;
    private long acknowledgeAtNanos;

    /**
     * What the loop needs.
     *
     * @param origins decides which records may have run before, although the broker counts only one delivery
     * @param deliveryLimit the number of deliveries after which the broker drops a record
     * @param open tests whether any node takes jobs now
     * @param onRecord starts the run of a record; it must not block
     * @param onLost stops the run of a record whose lock is lost
     */
    record Setup(
            Supplier<ShareConsumer<byte[], byte[]>> consumers,
            ShareDelivery.Origins origins,
            int deliveryLimit,
            RecordDelivery.Writers writers,
            BooleanSupplier open,
            Consumer<RecordDelivery> onRecord,
            Consumer<RecordDelivery> onLost,
            LoopTime time) {}

    ShareConsumerLoop(Setup setup) {
        this.setup = setup;
    }

    @Override
    public void command(ShareDelivery.LockCommand command) {
        commands.add(command);
        if (ended) {
            answerStale();
        }
    }

    /** Returns whether the loop has taken every command from its queue. Only tests use it. */
    boolean hasNoCommands() {
        return commands.isEmpty();
    }

    /** Takes no further records. */
    void stop() {
        stopping = true;
    }

    /** Ends the loop; records that are still in flight go back to the broker. */
    void close() {
        stopping = true;
        closing = true;
    }

    @Override
    public void run() {
        ended = false;
        try {
            consume();
        } finally {
            // also after an unexpected error, so that no run waits for a loop that has ended
            ended = true;
            loseAll();
        }
    }

    private void consume() {
        while (!closing) {
            try (ShareConsumer<byte[], byte[]> consumer = setup.consumers().get()) {
                serve(consumer);
                return;
            } catch (InterruptedException _) {
                return;
            } catch (GroupMaxSizeReachedException e) {
                LOG.warnf(
                        "the share group has as many members as group.share.max.size allows: lower"
                                + " penstock.intake.consumers or raise it (%s)",
                        Reason.of(e));
                loseAll();
                setup.time().pause(AFTER_FAILURE);
            } catch (RuntimeException e) {
                // the consumer's session has ended, so the broker delivers its records again
                LOG.errorf(e, "a share consumer failed; it starts anew");
                loseAll();
                setup.time().pause(AFTER_FAILURE);
            }
        }
    }

    private void serve(ShareConsumer<byte[], byte[]> consumer) throws InterruptedException {
        consumer.setAcknowledgementCommitCallback((offsets, failure) -> {
            CorruptRecordException why = unreadable;
            if (failure == null && why != null && deliveries.isEmpty()) {
                rejected(offsets, why);
            }
            if (failure != null) {
                LOG.warnf("%s an acknowledgement failed, the records come again: %s", offsets, Reason.of(failure));
            }
        });
        boolean armed = false;
        while (!closing) {
            if (!deliveries.isEmpty()) {
                work(consumer);
                armed = false;
            } else if (!stopping && !armed && !setup.open().getAsBoolean()) {
                // do not poll while no node takes jobs. But if a poll has sent a fetch, poll on, because a fetch
                // cannot be taken back
                answerStale();
                setup.time().sleep(WHILE_CLOSED);
            } else if (stopping) {
                break;
            } else {
                answerStale();
                take(poll(consumer), lockMillis(consumer));
                armed = true;
            }
        }
        // when the consumer closes, it gives back the records in flight and the records of an unfinished fetch
        note(drained()).forEach(ShareConsumerLoop::refuse);
        flush(consumer);
        loseAll();
    }

    /**
     * Polls. If the consumer cannot read a batch, it tells the broker that it rejects the batch. The broker's answer
     * contains the place of the batch.
     */
    private Iterable<ConsumerRecord<byte[], byte[]>> poll(ShareConsumer<byte[], byte[]> consumer) {
        try {
            return consumer.poll(POLL);
        } catch (CorruptRecordException e) {
            unreadable = e;
            return List.of();
        }
    }

    private void rejected(Map<TopicIdPartition, Set<Long>> offsets, CorruptRecordException why) {
        offsets.forEach((partition, rejected) -> {
            long first = rejected.stream().mapToLong(Long::longValue).min().orElse(0);
            long last = rejected.stream().mapToLong(Long::longValue).max().orElse(first);
            GUARD.passedOver(partition.topicPartition(), first, last + 1, why);
        });
        unreadable = null;
    }

    /** Does one round of the loop while records are in flight. */
    private void work(ShareConsumer<byte[], byte[]> consumer) throws InterruptedException {
        long now = setup.time().now();
        long until = finished.isEmpty() ? renewAtNanos : Math.min(renewAtNanos, acknowledgeAtNanos);
        ShareDelivery.@Nullable LockCommand first =
                commands.poll(Math.max(0, Math.min(until - now, POLL.toNanos())), TimeUnit.NANOSECONDS);
        List<ShareDelivery.LockCommand> all = new ArrayList<>();
        if (first != null) {
            all.add(first);
            all.addAll(drained());
        }
        List<ShareDelivery.LockCommand.Renew> renewals = note(all);
        boolean answered = false;
        try {
            now = setup.time().now();
            boolean allDone = finished.size() == deliveries.size();
            if (!allDone && (!renewals.isEmpty() || now >= renewAtNanos)) {
                renew(consumer);
            } else if (allDone || (!finished.isEmpty() && now >= acknowledgeAtNanos)) {
                flush(consumer);
            }
            answered = true;
        } finally {
            for (ShareDelivery.LockCommand.Renew renewal : renewals) {
                renewal.renewed()
                        .complete(answered && deliveries.get(renewal.delivery().place()) == renewal.delivery());
            }
        }
    }

    private List<ShareDelivery.LockCommand> drained() {
        List<ShareDelivery.LockCommand> all = new ArrayList<>();
        commands.drainTo(all);
        return all;
    }

    /** @return the locks that have to be renewed */
    private List<ShareDelivery.LockCommand.Renew> note(List<ShareDelivery.LockCommand> asked) {
        List<ShareDelivery.LockCommand.Renew> renewals = new ArrayList<>();
        for (ShareDelivery.LockCommand command : asked) {
            switch (command) {
                case ShareDelivery.LockCommand.Finish(ShareDelivery delivery, AcknowledgeType how, boolean _) -> {
                    if (deliveries.get(delivery.place()) == delivery) {
                        if (finished.isEmpty()) {
                            acknowledgeAtNanos = setup.time().now() + ACKNOWLEDGE_AFTER_NANOS;
                        }
                        finished.put(delivery, how);
                    }
                }
                case ShareDelivery.LockCommand.Renew renewal -> renewals.add(renewal);
            }
        }
        return renewals;
    }

    /**
     * Acknowledges the finished records with a separate request. If the next fetch contained the acknowledgements,
     * some could be lost: those of a partition that another member has just got (clients 4.3.1). A failure needs no
     * action here, because the record is delivered again and its job is recovered.
     */
    private void flush(ShareConsumer<byte[], byte[]> consumer) {
        finished.forEach((delivery, how) -> {
            consumer.acknowledge(delivery.record(), how);
            deliveries.remove(delivery.place());
        });
        finished.clear();
        report(consumer);
    }

    private void renew(ShareConsumer<byte[], byte[]> consumer) {
        finished.forEach((delivery, how) -> {
            consumer.acknowledge(delivery.record(), how);
            deliveries.remove(delivery.place());
        });
        finished.clear();
        deliveries.values().forEach(delivery -> consumer.acknowledge(delivery.record(), AcknowledgeType.RENEW));
        report(consumer);
        // this poll fetches nothing, and returns only the renewed records; a record that it does not return has lost
        // its lock
        Set<RecordPlace> kept = new HashSet<>();
        List<ShareDelivery> unexpected = new ArrayList<>();
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ZERO)) {
            RecordPlace place = OriginRecord.placeOf(record);
            if (deliveries.containsKey(place)) {
                kept.add(place);
            } else {
                unexpected.add(delivery(record, setup.origins().epochs().ask()));
            }
        }
        List<RecordPlace> lost = deliveries.keySet().stream()
                .filter(place -> !kept.contains(place))
                .toList();
        lost.forEach(this::lose);
        unexpected.forEach(this::accept);
        renewAtNanos = setup.time().now() + lockMillis(consumer) * 1_000_000L / 3;
    }

    private static void report(ShareConsumer<byte[], byte[]> consumer) {
        consumer.commitSync(ACKNOWLEDGE_WITHIN)
                .forEach((partition, failure) -> failure.ifPresent(
                        why -> LOG.warnf("partition=%s an acknowledgement failed: %s", partition, Reason.of(why))));
    }

    private void take(Iterable<ConsumerRecord<byte[], byte[]>> records, long lockMillis) {
        CompletableFuture<@Nullable Void> epochsKnown = null;
        for (ConsumerRecord<byte[], byte[]> record : records) {
            // ask for the leaders' epochs only after the records have arrived
            epochsKnown = epochsKnown == null ? setup.origins().epochs().ask() : epochsKnown;
            accept(delivery(record, epochsKnown));
        }
        renewAtNanos = setup.time().now() + lockMillis * 1_000_000L / 3;
    }

    private void accept(ShareDelivery delivery) {
        if (delivery.deliveries() > 1) {
            LOG.debugf("record=%s was delivered %d times", delivery.place(), delivery.deliveries());
        }
        deliveries.put(delivery.place(), delivery);
        if (!GUARD.read(delivery.record(), () -> setup.onRecord().accept(delivery))) {
            delivery.unread();
            if (!GUARD.read(delivery.record(), () -> setup.onRecord().accept(delivery))) {
                delivery.end();
            }
        }
    }

    private ShareDelivery delivery(
            ConsumerRecord<byte[], byte[]> record, CompletableFuture<@Nullable Void> epochsKnown) {
        return new ShareDelivery(record, setup.origins(), epochsKnown, setup.deliveryLimit(), setup.writers(), this);
    }

    private void lose(RecordPlace place) {
        LOG.warnf("record=%s its lock is lost; the replica that takes it next recovers the job", place);
        ShareDelivery delivery = deliveries.remove(place);
        if (delivery != null) {
            delivery.leave();
            setup.onLost().accept(delivery);
        }
    }

    private void loseAll() {
        new ArrayList<>(deliveries.keySet()).forEach(this::lose);
        finished.clear();
        answerStale();
    }

    /**
     * Answers the remaining lock commands. No record is in flight, so each command is for a record that this consumer
     * has lost.
     */
    private void answerStale() {
        ShareDelivery.LockCommand command;
        while ((command = commands.poll()) != null) {
            if (command instanceof ShareDelivery.LockCommand.Renew renewal) {
                refuse(renewal);
            }
        }
    }

    /** Refuses to renew a lock, because this consumer has lost the lock or is about to lose it. */
    private static void refuse(ShareDelivery.LockCommand.Renew renewal) {
        renewal.renewed().complete(false);
    }

    private static long lockMillis(ShareConsumer<byte[], byte[]> consumer) {
        return consumer.acquisitionLockTimeoutMs().orElse(DEFAULT_LOCK_MILLIS);
    }
}
