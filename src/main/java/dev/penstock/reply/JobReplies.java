package dev.penstock.reply;

import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.TokenEvent;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.wire.Reason;
import dev.penstock.wire.document.ChunkPieces;
import dev.penstock.wire.document.EventDocument;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Publishes the events of one run, and numbers them within each attempt. Not thread-safe: the thread of the run owns
 * it, except that sends complete on the producer's thread.
 */
public final class JobReplies {
    private static final Logger LOG = Logger.getLogger(JobReplies.class);
    /** The most bytes of an outcome and the unconfirmed events before it that are sent together. */
    private static final int MOST_TOGETHER = 12 * 1024;
    /** The longest time between the first of these events and the outcome. */
    private static final Duration TOGETHER_WITHIN = Duration.ofMillis(500);

    private final ReplyTopic topic;
    private final WebhookTopic.Announcement announcement;
    private final JobId id;
    private final String run;
    private final byte @Nullable [] traceparent;
    private final LongSupplier nanos;
    private int attempt;
    private long seq;
    private boolean tooLarge;
    /** Whether the broker did not take an event of this run. */
    private boolean hasFailed;

    private CompletableFuture<@Nullable Void> attemptSent = CompletableFuture.completedFuture(null);
    /* The events that may be unconfirmed: their bytes, the bytes of the largest, and the time of the first. */
    private int unconfirmedBytes;
    private int largestBytes;
    private long firstNanos;

    /**
     * @param announcement announces the job's outcome to its webhook
     * @param nanos a clock for durations, in nanoseconds from any origin
     */
    public JobReplies(
            ReplyTopic topic,
            WebhookTopic.Announcement announcement,
            JobId id,
            String run,
            byte @Nullable [] traceparent,
            LongSupplier nanos) {
        this.topic = topic;
        this.announcement = announcement;
        this.id = id;
        this.run = run;
        this.traceparent = traceparent;
        this.nanos = nanos;
    }

    public String run() {
        return run;
    }

    public int attempt() {
        return attempt;
    }

    /** Begins an attempt. The following events belong to it, and their seq begins at 0. */
    public void begin(int number) {
        attempt = number;
        seq = 0;
        attemptSent = CompletableFuture.completedFuture(null);
        unconfirmedBytes = 0;
        largestBytes = 0;
        tooLarge = false;
    }

    /**
     * Sends the attempt's next event without waiting for the broker. A chunk that is too large for one record is sent
     * in pieces.
     *
     * @return false if no record can hold the event; then nothing was sent, and no seq of the attempt is missing
     */
    public boolean send(JobEvent event) {
        byte[] value = write(event, seq);
        if (value.length <= topic.limit().bytes()) {
            var _ = send(event.kind(), value);
            return true;
        }
        return event instanceof JobEvent.Chunk(Answer.Head head, List<TokenEvent> deltas) && sendPieces(head, deltas);
    }

    /**
     * Sends deltas as chunks, each small enough for a record.
     *
     * @return false if a delta is too large and cannot be cut; then nothing was sent
     */
    public boolean sendPieces(Answer.Head head, List<TokenEvent> deltas) {
        int room = topic.limit().bytes();
        List<byte[]> values = new ArrayList<>();
        for (List<TokenEvent> piece : ChunkPieces.of(deltas, room)) {
            byte[] value = write(new JobEvent.Chunk(head, piece), seq + values.size());
            if (value.length > room) {
                return false;
            }
            values.add(value);
        }
        for (byte[] value : values) {
            var _ = send(EventMark.Kind.CHUNK, value);
        }
        return true;
    }

    /** Returns the seq of the attempt's last event. */
    public long lastSeq() {
        return seq - 1;
    }

    /** Returns whether a record can hold the event. */
    public boolean fits(JobEvent event) {
        return write(event, Long.MAX_VALUE).length <= topic.limit().bytes();
    }

    /**
     * Returns the failure for an event that is too large for a record.
     *
     * @param what the problem, for example {@code "the embeddings have 9000000 bytes"}
     */
    public JobFailure tooLarge(String what) {
        return JobFailure.of(
                JobFailure.Code.TOO_LARGE,
                "%s, and a record of topic %s takes %s"
                        .formatted(what, topic.name(), topic.limit().words()));
    }

    private byte[] write(JobEvent event, long number) {
        return EventDocument.write(id, new EventMark(event.kind(), attempt, run, number), event);
    }

    private CompletableFuture<@Nullable Void> send(EventMark.Kind kind, byte[] value) {
        CompletableFuture<@Nullable Void> sent =
                topic.send(id, new EventMark(kind, attempt, run, seq++), value, traceparent);
        if (attemptSent.isDone() && !attemptSent.isCompletedExceptionally()) {
            attemptSent = sent;
            unconfirmedBytes = value.length;
            largestBytes = value.length;
            firstNanos = nanos.getAsLong();
        } else {
            attemptSent = attemptSent.thenCombine(sent, (_, _) -> null);
            unconfirmedBytes += value.length;
            largestBytes = Math.max(largestBytes, value.length);
        }
        return sent;
    }

    /**
     * Sends the outcome of the attempt, and waits until it is on the broker. If the job has a webhook, the outcome is
     * announced first. The outcome waits until the broker has confirmed all earlier events of the attempt, or it follows
     * them at once if {@link #mayFollowAtOnce}.
     *
     * @return false if an event of the attempt or the announcement is not on the broker, and the outcome is not there
     *     either; false too if no record can hold the outcome
     */
    public boolean conclude(JobEvent outcome) throws InterruptedException {
        byte[] value = write(outcome, seq);
        if (value.length <= topic.limit().bytes() && !announce(outcome.kind(), value)) {
            return false;
        }
        boolean isWhole = !(outcome instanceof JobEvent.Completed completed) || !completed.truncated();
        if (!(isWhole && mayFollowAtOnce(value.length)) && !awaitSent()) {
            return false;
        }
        if (value.length > topic.limit().bytes()) {
            return false;
        }
        CompletableFuture<@Nullable Void> sent = send(outcome.kind(), value);
        if (awaitSent()) {
            return true;
        }
        boolean isThere = !sent.isCompletedExceptionally();
        if (isThere) {
            // the outcome has closed the job: nothing that follows would be valid
            LOG.warnf("job=%s attempt=%d an event before the outcome is not on the broker", id, attempt);
        }
        return isThere;
    }

    private boolean announce(EventMark.Kind kind, byte[] value) throws InterruptedException {
        try {
            announcement.before(new EventMark(kind, attempt, run, seq), value).get();
            return true;
        } catch (ExecutionException e) {
            hasFailed = true;
            LOG.warnf("job=%s the broker did not take the record for its webhook: %s", id, Reason.of(e));
            return false;
        }
    }

    private void noteFailure(ExecutionException e) {
        hasFailed = true;
        tooLarge = KafkaClients.isTooLarge(e);
    }

    /**
     * Returns whether the outcome may be sent before the broker has confirmed the events of the attempt. The producer
     * keeps the order of a partition, and it sends records that are ready at the same time in one batch, which the
     * broker takes or refuses as a whole. If they come into two batches, the broker should not refuse the first batch and
     * take the second one. So the outcome is the largest of these records: a record of any other size fits if the
     * outcome fits. And the records are from the same moment: their times for delivery end at nearly the same moment.
     */
    private boolean mayFollowAtOnce(int bytes) {
        return !hasFailed
                && !attemptSent.isCompletedExceptionally()
                && bytes >= largestBytes
                && bytes + unconfirmedBytes
                        <= Math.min(MOST_TOGETHER, topic.limit().bytes())
                && nanos.getAsLong() - firstNanos < TOGETHER_WITHIN.toNanos();
    }

    /**
     * Publishes the outcome of another run once more, unchanged except for the mark of a replay.
     *
     * @return false if the broker did not take the outcome
     */
    public boolean replay(String outcome, EventMark.Kind kind, int ofAttempt, String ofRun)
            throws InterruptedException {
        try {
            topic.replay(id, outcome, kind, ofAttempt, ofRun, traceparent).get();
            return true;
        } catch (ExecutionException _) {
            return false;
        }
    }

    /**
     * Waits until every event of the attempt is on the broker.
     *
     * @return false if the broker did not take one of these events
     */
    public boolean awaitSent() throws InterruptedException {
        try {
            attemptSent.get();
            return true;
        } catch (ExecutionException e) {
            noteFailure(e);
            return false;
        }
    }

    /**
     * Returns whether the broker refused an event as too large. If so, this method reads the topic's limit, and later
     * events respect it.
     */
    public boolean wasTooLarge() throws InterruptedException {
        if (tooLarge) {
            topic.learnLimit();
        }
        return tooLarge;
    }

    /** Returns the largest size of an event now, in bytes. */
    public int room() {
        return topic.limit().bytes();
    }
}
