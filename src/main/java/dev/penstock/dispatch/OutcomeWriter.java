package dev.penstock.dispatch;

import dev.penstock.execution.Outcome;
import dev.penstock.execution.StopSignal;
import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.reply.JobReplies;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.ScoreDocument;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Writes a run's outcome to the broker, and tries again until the broker has it. Owned by the thread of the run. */
final class OutcomeWriter {
    /** The largest number of bytes for a character: JSON writes a control character in six bytes. */
    private static final int MOST_BYTES_A_CHAR = 6;
    /** The largest size of a completed event without its answer. It has at most 16 pairs of metadata. */
    private static final int ROOM_FOR_THE_REST = 64 * 1024;

    private final JobReplies replies;
    private final boolean streams;
    private final Delivery delivery;
    private final StopSignal signal;
    private final Settings settings;

    /** @param streams whether the job wants chunks */
    OutcomeWriter(JobReplies replies, boolean streams, Delivery delivery, StopSignal signal, Settings settings) {
        this.replies = replies;
        this.streams = streams;
        this.delivery = delivery;
        this.signal = signal;
        this.settings = settings;
    }

    /**
     * Publishes the outcome of the current attempt after all earlier events of that attempt. If the broker did not take
     * one of these events, a reader cannot join the text. Then the writer publishes the whole answer as a new attempt.
     *
     * @return the published outcome; a failure if no record can hold the answer; null if the record was lost, or this
     *     replica stopped, before the outcome was on the broker
     */
    @Nullable
    Outcome publish(Outcome worked) throws InterruptedException {
        Outcome published = fitting(worked);
        if (published.isTruncated() && !streams) {
            published = withChunks(published);
        }
        return replies.conclude(published.event()) ? published : persist(published);
    }

    /** Publishes the whole answer as a new attempt: {@code started}, its chunks and the outcome. */
    boolean publishAgain(Outcome outcome, int attempt) throws InterruptedException {
        Outcome published = begin(fitting(outcome), attempt);
        return replies.conclude(published.event()) || persist(published) != null;
    }

    private @Nullable Outcome persist(Outcome outcome) throws InterruptedException {
        Outcome published = outcome;
        int tries = 1;
        do {
            int room = replies.room();
            if (replies.wasTooLarge() && replies.room() >= room) {
                published =
                        alone(replies.tooLarge("the broker refused an event of the answer as too large"), published);
            }
            signal.pause(settings.retries().backoff(tries++));
            if (signal.isOver() || !delivery.renew()) {
                return null;
            }
            published = begin(fitting(published), replies.attempt() + 1);
        } while (!replies.conclude(published.event()));
        return published;
    }

    private Outcome begin(Outcome published, int attempt) {
        Outcome outcome = published.startingOver();
        replies.begin(attempt);
        if (outcome.started() != null && !replies.send(outcome.started())) {
            return alone(replies.tooLarge("the event 'started' is too large"), outcome);
        }
        return streams || outcome.isTruncated() ? withChunks(outcome) : outcome;
    }

    private Outcome withChunks(Outcome outcome) {
        Answer answer = outcome.answer();
        if (answer == null) {
            return outcome;
        }
        List<TokenEvent> deltas = answer.asDeltas().stream()
                .filter(delta -> !(delta instanceof TokenEvent.Finish))
                .toList();
        return replies.sendPieces(answer.head(), deltas)
                ? outcome
                : alone(replies.tooLarge("a part of the answer cannot be cut"), outcome);
    }

    /**
     * Returns the same outcome in an event that a record can hold. If no record can hold the answer, only the chunks
     * contain it.
     */
    private Outcome fitting(Outcome outcome) {
        if (surelyFits(outcome.event()) || replies.fits(outcome.event())) {
            return outcome;
        }
        if (!(outcome.event() instanceof JobEvent.Completed completed)) {
            return alone(
                    outcome.event() instanceof JobEvent.Failed failed
                            ? failed.failure().withoutText()
                            : replies.tooLarge("the outcome is too large"),
                    outcome);
        }
        if (completed.answer().hasResults()) {
            return alone(replies.tooLarge(tooManyResults(completed.answer())), outcome);
        }
        Outcome truncated = outcome.truncated(completed);
        return replies.fits(truncated.event())
                ? truncated
                : alone(replies.tooLarge("the outcome is too large"), outcome);
    }

    private static String tooManyResults(Answer answer) {
        return answer.scores().isEmpty()
                ? "the embeddings have %d bytes (send fewer inputs, or ask for encoding_format base64)"
                        .formatted(Json.bytes(answer.embeddings()).length)
                : "the scores have %d bytes (send fewer documents, or set return_documents to false)"
                        .formatted(ScoreDocument.of(answer).length);
    }

    /** Returns whether the event certainly fits. It estimates the size instead of writing the event. */
    private boolean surelyFits(JobEvent event) {
        return event instanceof JobEvent.Completed completed
                && !completed.answer().hasResults()
                && completed.answer().choices().stream()
                        .allMatch(choice -> choice.logprobs().isEmpty())
                && 2 * MOST_BYTES_A_CHAR * completed.answer().chars() + ROOM_FOR_THE_REST <= replies.room();
    }

    /**
     * Returns a failure in place of an outcome that no record can hold. It leaves out the metadata if they are too
     * large.
     */
    private Outcome alone(JobFailure failure, Outcome instead) {
        JobEvent.Execution execution = null;
        Map<String, String> metadata = Map.of();
        if (instead.event() instanceof JobEvent.Completed completed) {
            execution = completed.execution();
            metadata = completed.metadata();
        } else if (instead.event() instanceof JobEvent.Failed failed) {
            execution = failed.execution();
            metadata = failed.metadata();
        }
        JobEvent whole = new JobEvent.Failed(failure, execution, metadata);
        return new Outcome(
                replies.fits(whole) ? whole : new JobEvent.Failed(failure, execution, Map.of()),
                null,
                null,
                instead.node());
    }
}
