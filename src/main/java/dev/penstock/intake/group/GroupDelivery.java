package dev.penstock.intake.group;

import dev.penstock.dispatch.Deferral;
import dev.penstock.intake.record.OriginRecord;
import dev.penstock.intake.record.RecordDelivery;

/**
 * A record of a partition that a consumer group assigned to this replica. The replica owns the record as long as it
 * owns the partition.
 */
final class GroupDelivery extends RecordDelivery {
    private final GroupConsumerLoop owner;
    private final boolean mayHaveRun;
    private volatile boolean lost;
    private volatile boolean over;

    /**
     * @param mayHaveRun whether the job may have run before, because the record was in the partition before this
     * replica got the partition
     */
    GroupDelivery(OriginRecord origin, boolean mayHaveRun, RecordDelivery.Writers writers, GroupConsumerLoop owner) {
        super(origin, writers);
        this.mayHaveRun = mayHaveRun;
        this.owner = owner;
    }

    /** Another consumer has the partition now. */
    void lose() {
        lost = true;
        leave();
    }

    boolean isOver() {
        return over;
    }

    /** Returns 1, because a consumer group counts no deliveries. */
    @Override
    public int deliveries() {
        return 1;
    }

    @Override
    public boolean mayHaveRun() {
        return mayHaveRun;
    }

    /** Returns the same as {@link #mayHaveRun}, because the answer was already certain when the record was taken. */
    @Override
    public boolean mayHaveRunAfterAll() {
        return mayHaveRun;
    }

    @Override
    public boolean isLastDelivery() {
        return false;
    }

    @Override
    public boolean renew() {
        return !lost;
    }

    @Override
    public void acknowledge() {
        finish(true);
    }

    /** The group's generation guards the commit. */
    @Override
    public void acknowledgeOnlyRun() {
        acknowledge();
    }

    /**
     * Defers the job if it has begun an attempt. Otherwise the record stays unfinished, and the next owner of the
     * partition takes it.
     */
    @Override
    public void handBack(int lastAttempt) throws InterruptedException {
        finish(lastAttempt > 0 && writeDeferred(Deferral.HANDED_BACK, lastAttempt, failures()));
    }

    @Override
    public void end() {
        if (!over) {
            finish(false);
        }
    }

    private void finish(boolean done) {
        owner.finished(this, done);
        over = true;
    }
}
