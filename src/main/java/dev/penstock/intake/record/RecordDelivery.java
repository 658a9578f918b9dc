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

/** A record in flight in this replica, in either mode. Owned by the thread of its run. */
public abstract class RecordDelivery implements Delivery {
    private static final Logger LOG = Logger.getLogger(RecordDelivery.class);

    static final Duration AFTER_FAILURE = Duration.ofSeconds(1);

    /** Written by its run, read by its consumer too. */
    private volatile OriginRecord origin;

    private final Writers writers;
    private @Nullable JobId id;
    private int brokenRuns;
    private volatile boolean gone;
    private volatile boolean unread;

    /** Where else a record may go. */
    public record Writers(DeferredJobs deferred, DeadLetters deadLetters) {}

    protected RecordDelivery(OriginRecord origin, Writers writers) {
        this.origin = origin;
        brokenRuns = origin.brokenRuns();
        this.writers = writers;
    }

    public OriginRecord origin() {
        return origin;
    }

    /** As it came from its producer. */
    public ConsumerRecord<byte[], byte[]> record() {
        return origin.record();
    }

    /** Its value is read now. */
    void load(byte[] value) {
        origin = origin.withValue(value);
    }

    /** The record that the consumer took: for a deferred job, the deferred record. */
    public RecordPlace place() {
        RecordPlace copy = origin.copy();
        return copy == null ? origin.place() : copy;
    }

    /** The number of its deliveries, this one included, as far as the group counts them. */
    public abstract int deliveries();

    /** From here on its job is known. */
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
     * The run is over. A run that neither acknowledged the record nor gave it back ended without an outcome: the record
     * comes again.
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
        if (copy(deferral, handedBack, failures)) {
            acknowledge();
        }
    }

    @Override
    public void deferBroken(Deferral deferral) throws InterruptedException {
        brokenRuns++;
        defer(deferral, handedBack(), failures());
    }

    protected final boolean copy(Deferral deferral, int handedBack, int failures) throws InterruptedException {
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
            // at its last delivery it would not come again
            if (!isLastDelivery() || !renew()) {
                return false;
            }
            Thread.sleep(AFTER_FAILURE);
        }
    }

    /** Its reading failed before it came to a run: it is refused. From the thread of its consumer. */
    public final void unread() {
        unread = true;
    }

    public final boolean isUnread() {
        return unread;
    }

    /** Another consumer may own the record now. From the thread of its consumer. */
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

    /** @return where the dead letter lies; null: it could not be written */
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
