package dev.penstock.reply;

import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.TokenEvent;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.wire.document.ChunkPieces;
import dev.penstock.wire.document.EventDocument;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;

/**
 * Publishes the events of one run, and numbers them within each attempt. Not thread-safe: the thread of the run owns
 * it, except that sends complete on the producer's thread.
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

    /** Begins an attempt. The following events belong to it, and their seq begins at 0. */
    public void begin(int number) {
        attempt = number;
        seq = 0;
        attemptSent = CompletableFuture.completedFuture(null);
        tooLarge = false;
    }

    /**
     * Sends the attempt's next event without waiting for the broker. A chunk that is too large for one record is sent
     * in pieces.
     *
     * @return false if no record can hold the event; then nothing was sent, and the attempt has no gap
     */
    public boolean send(JobEvent event) {
        byte[] value = write(event, seq);
        if (value.length <= topic.limit().bytes()) {
            send(event.kind(), value);
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
        values.forEach(value -> send(EventMark.Kind.CHUNK, value));
        return true;
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

    private void send(EventMark.Kind kind, byte[] value) {
        CompletableFuture<@Nullable Void> sent =
                topic.send(id, new EventMark(kind, attempt, run, seq++), value, traceparent);
        attemptSent = attemptSent.isDone() && !attemptSent.isCompletedExceptionally()
                ? sent
                : attemptSent.thenCombine(sent, (_, _) -> null);
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
            tooLarge = KafkaClients.isTooLarge(e);
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
