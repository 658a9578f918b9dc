package dev.penstock.execution;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import java.util.List;

/**
 * Receives the events of an execution, except for its outcome, which {@link Execution#run} returns. Only the thread of
 * the run calls it.
 */
public interface AnswerSink {
    /** Begins an attempt. All later events belong to it, including an outcome. */
    void begin(int attempt);

    /**
     * Takes the event {@code started} of the attempt.
     *
     * @return false if the event is too large; then nothing was published
     */
    boolean started(JobEvent.Started started) throws InterruptedException;

    /**
     * Returns whether {@code started} may come after the attempt's request, at the first token. It may not if only this
     * event could show that the request has crashed the process.
     */
    boolean mayStartLate();

    /**
     * Takes a piece of the answer.
     *
     * @return false if a part of it is too large and cannot be cut
     */
    boolean chunk(Answer.Head head, List<TokenEvent> deltas) throws InterruptedException;

    /**
     * Returns whether a later attempt may begin the answer again. It may not after a chunk has gone to a reader who cannot
     * drop it.
     */
    boolean mayStartOver();

    /** Returns the seq of the last event of this attempt; 0 if only {@code started} was taken. */
    long lastSeq();

    /**
     * Waits until all events of this attempt are published, so that a later attempt may continue their text.
     *
     * @return false if an event could not be published, or if readers ignore this attempt because another run has
     *     taken over
     */
    boolean awaitPublished() throws InterruptedException;

    /**
     * Returns the failure for an event that is too large for this sink.
     *
     * @param what the problem, for example {@code "a part of the answer cannot be cut"}
     */
    JobFailure tooLarge(String what);
}
