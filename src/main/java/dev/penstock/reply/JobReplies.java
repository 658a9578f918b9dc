package dev.penstock.reply;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.settings.KafkaSettings;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;

/**
 * What one run says of its job: numbers the events within each attempt. Not thread-safe: owned by the thread of the
 * run, except that sends end on the producer's.
 */
public final class JobReplies {
    private final ReplyTopic topic;
    private final JobId id;
    private final String run;
    private final byte @Nullable [] traceparent;
    private int attempt;
    private long seq;
    private boolean tooLarge;
    private CompletableFuture<@Nullable Void> attemptSent = CompletableFuture.completedFuture(null);

    public JobReplies(ReplyTopic topic, JobId id, String run, byte @Nullable [] traceparent) {
        this.topic = topic;
        this.id = id;
        this.run = run;
        this.traceparent = traceparent;
    }

    public String run() {
        return run;
    }

    public int attempt() {
        return attempt;
    }

    /** From here on, events belong to this attempt; its first has seq 0. */
    public void begin(int number) {
        attempt = number;
        seq = 0;
        attemptSent = CompletableFuture.completedFuture(null);
        tooLarge = false;
    }

    /** Sends the attempt's next event without waiting for the broker. */
    public void send(JobEvent event) {
        CompletableFuture<@Nullable Void> sent =
                topic.send(id, new EventMark(event.kind(), attempt, run, seq++), event, traceparent);
        attemptSent = attemptSent.isDone() && !attemptSent.isCompletedExceptionally()
                ? sent
                : attemptSent.thenCombine(sent, (_, _) -> null);
    }

    /**
     * Says once more what another run has said, as it was, and that it is a replay.
     *
     * @return false where it did not get onto the broker
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
     * @return false where one of them did not get there
     */
    public boolean awaitSent() throws InterruptedException {
        try {
            attemptSent.get();
            return true;
        } catch (ExecutionException e) {
            tooLarge = KafkaSettings.isTooLarge(e);
            return false;
        }
    }

    /** Whether what did not get there was larger than a record may be: it never will. */
    public boolean wasTooLarge() {
        return tooLarge;
    }
}
