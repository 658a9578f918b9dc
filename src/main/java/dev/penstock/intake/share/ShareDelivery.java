package dev.penstock.intake.share;

import dev.penstock.dispatch.Deferral;
import dev.penstock.intake.record.OriginRecord;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.intake.setup.ModeChoice;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;

/**
 * A record in flight in a share consumer. The thread of its run sends lock commands; the consumer's own thread executes
 * them.
 */
public final class ShareDelivery extends RecordDelivery {
    private final LockKeeper owner;
    private final Origins origins;
    private final CompletableFuture<@Nullable Void> epochsKnown;
    private final int deliveryLimit;
    private boolean over;

    ShareDelivery(
            ConsumerRecord<byte[], byte[]> record,
            Origins origins,
            CompletableFuture<@Nullable Void> epochsKnown,
            int deliveryLimit,
            RecordDelivery.Writers writers,
            LockKeeper owner) {
        super(OriginRecord.itself(record), writers);
        this.owner = owner;
        this.origins = origins;
        this.epochsKnown = epochsKnown;
        this.deliveryLimit = deliveryLimit;
    }

    /**
     * Decides whether a record may have run before, if its delivery count does not show it.
     *
     * @param mode the intake mode; records from before a change of mode may have run in the other mode
     * @param epochs the epochs of the leaders; a new leader does not know the deliveries that an earlier leader counted
     */
    public record Origins(ModeChoice.Chosen mode, LeaderEpochs epochs) {
        boolean mayHaveRun(ConsumerRecord<?, ?> record) {
            return mode.mayHaveRun(record.topic(), record.partition(), record.offset())
                    || epochs.isFromEarlierLeader(record);
        }
    }

    /** A command from the thread of a run to the owner of the lock. */
    sealed interface LockCommand {
        ShareDelivery delivery();

        /**
         * The run is over.
         *
         * @param onlyRun whether to release the record instead if its lock was in doubt
         */
        record Finish(ShareDelivery delivery, AcknowledgeType how, boolean onlyRun) implements LockCommand {}

        /** @param renewed completes with true if this replica still has the lock, otherwise with false */
        record Renew(ShareDelivery delivery, CompletableFuture<Boolean> renewed) implements LockCommand {}
    }

    @Override
    public int deliveries() {
        return record().deliveryCount().map(Short::intValue).orElse(1);
    }

    @Override
    public boolean mayHaveRun() {
        return deliveries() > 1 || origins.mayHaveRun(record());
    }

    /**
     * Returns true also for a record whose lock was in doubt: another replica may have started the job meanwhile, so
     * that the outcome of this run is void.
     */
    @Override
    public boolean mayHaveRunAfterAll() throws InterruptedException {
        if (owner.wasInDoubt(this)) {
            return true;
        }
        try {
            epochsKnown.get();
            return mayHaveRun() || owner.wasInDoubt(this);
        } catch (ExecutionException _) {
            return true;
        }
    }

    /**
     * Returns whether the record's delivery count is above a quarter of the broker's limit. If a process is killed
     * during a fetch, the broker has counted deliveries that no consumer has seen. Each kill can add several such
     * deliveries, and at the limit the broker drops the record. A deferred record has no such limit.
     */
    @Override
    public boolean isLastDelivery() {
        return 4 * owner.deliveries(this) > deliveryLimit;
    }

    @Override
    public boolean renew() throws InterruptedException {
        CompletableFuture<Boolean> renewed = new CompletableFuture<>();
        owner.command(new LockCommand.Renew(this, renewed));
        return renewed.join();
    }

    @Override
    public void acknowledge() {
        finish(AcknowledgeType.ACCEPT, false);
    }

    @Override
    public void acknowledgeOnlyRun() {
        finish(AcknowledgeType.ACCEPT, true);
    }

    /**
     * Releases the record if this is its first delivery, so that no consumer waits for the lock to expire. At a later
     * delivery it defers the job, because a second release would bring the delivery count too near to the limit.
     */
    @Override
    public void handBack(int lastAttempt) throws InterruptedException {
        if (owner.deliveries(this) == 1) {
            finish(AcknowledgeType.RELEASE, false);
        } else {
            defer(Deferral.HANDED_BACK, lastAttempt, failures());
        }
    }

    /** Releases the record unless it was acknowledged. The release does not lower the delivery count. */
    @Override
    public void end() {
        if (!over) {
            finish(AcknowledgeType.RELEASE, false);
        }
    }

    private void finish(AcknowledgeType how, boolean onlyRun) {
        over = true;
        owner.command(new LockCommand.Finish(this, how, onlyRun));
    }
}
