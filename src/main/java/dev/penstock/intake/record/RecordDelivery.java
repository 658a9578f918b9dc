package dev.penstock.intake.record;

import dev.penstock.dispatch.Deferral;
import dev.penstock.dispatch.Delivery;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.reply.DeadLetters;
import dev.penstock.wire.Reason;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** A record in flight in this replica, in either intake mode. The thread of the record's run owns this object. */
public abstract class RecordDelivery implements Delivery {
    private static final Logger LOG = Logger.getLogger(RecordDelivery.class);

    static final Duration AFTER_FAILURE = Duration.ofSeconds(1);

    /** The run's thread writes this field, and the consumer's thread reads it too. */
    private volatile OriginRecord origin;

    private final Writers writers;
    private @Nullable JobId id;
    private int brokenRuns;
    private volatile boolean gone;
    private volatile boolean unread;

    /** The writers of the two topics to which a record can be copied. */
    public record Writers(DeferredJobs deferred, DeadLetters deadLetters) {}

    protected RecordDelivery(OriginRecord origin, Writers writers) {
        this.origin = origin;
        brokenRuns = origin.brokenRuns();
        this.writers = writers;
    }

    public OriginRecord origin() {
        return origin;
    }

    /** Returns the record as its producer sent it. */
    public ConsumerRecord<byte[], byte[]> record() {
        return origin.record();
    }

    /** Sets the value, which the poll had left out. */
    void load(byte[] value) {
        origin = origin.withValue(value);
    }

    /** Returns the place of the record that the consumer took; for a deferred job, the place of the deferred record. */
    public RecordPlace place() {
        RecordPlace deferred = origin.deferred();
        return deferred == null ? origin.place() : deferred;
    }

    /**
     * Returns the number of the record's deliveries, including this one; always 1 if the group does not count
     * deliveries.
     */
    public abstract int deliveries();

    /** Sets the id of the record's job, which is not known before the record is parsed. */
    void named(JobId job) {
        id = job;
    }

    boolean isNamed() {
        return id != null;
    }

    private JobId named() {
        JobId job = id;
        if (job == null) {
            throw new IllegalStateException("its job is not known yet");
        }
        return job;
    }

    /**
     * Notes that the run has ended. If the run neither acknowledged the record nor gave it back, it ended without an
     * outcome, and the record is delivered again.
     */
    public abstract void end();

    @Override
    public int handedBack() {
        return origin.handedBack();
    }

    @Override
    public int failures() {
        return origin.failures();
    }

    @Override
    public int brokenRuns() {
        return brokenRuns;
    }

    @Override
    public @Nullable Instant deferredSince() {
        return origin.deferredAt();
    }

    @Override
    public void defer(Deferral deferral, int handedBack, int failures) throws InterruptedException {
        if (writeDeferred(deferral, handedBack, failures)) {
            acknowledge();
        }
    }

    @Override
    public void deferBroken(Deferral deferral) throws InterruptedException {
        brokenRuns++;
        defer(deferral, handedBack(), failures());
    }

    protected final boolean writeDeferred(Deferral deferral, int handedBack, int failures) throws InterruptedException {
        JobId job = named();
        while (true) {
            try {
                writers.deferred()
                        .write(
                                origin.withBrokenRuns(brokenRuns),
                                job,
                                deferral,
                                Math.max(handedBack, origin.handedBack()),
                                failures)
                        .get();
                LOG.debugf("job=%s record=%s deferred: %s", job, place(), deferral.delay());
                return true;
            } catch (ExecutionException e) {
                LOG.warnf("job=%s record=%s could not be deferred: %s", job, place(), Reason.of(e));
            }
            // at the last delivery, keep trying, because a further delivery may be too many for the broker
            if (!isLastDelivery() || !renew()) {
                return false;
            }
            Thread.sleep(AFTER_FAILURE);
        }
    }

    /**
     * Notes that the record could not be read, so its run refuses it. The consumer's thread calls this method, or the
     * run's thread before it parses the record.
     */
    public final void unread() {
        unread = true;
    }

    public final boolean isUnread() {
        return unread;
    }

    /** Notes that another consumer may own the record now. The consumer's thread calls this method. */
    public final void leave() {
        gone = true;
    }

    @Override
    public final boolean isGone() {
        return gone;
    }

    @Override
    public boolean deadLetter(JobFailure failure, int attempts) throws InterruptedException {
        return letter(failure, attempts) != null;
    }

    /** @return the place of the dead letter; null if it could not be written */
    final @Nullable RecordPlace letter(JobFailure failure, int attempts) throws InterruptedException {
        try {
            return writers.deadLetters()
                    .write(record(), named(), failure, attempts)
                    .get();
        } catch (ExecutionException e) {
            LOG.warnf("record=%s could not be dead-lettered, it comes again: %s", place(), Reason.of(e));
            return null;
        }
    }
}
