package dev.penstock.execution;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import java.util.List;

/**
 * Where the events of an execution go, except for its outcome, which {@link Execution#run} returns. The thread of the
 * run calls it.
 */
public interface AnswerSink {
    /** Begins an attempt: what follows belongs to it, also an outcome. */
    void begin(int attempt);

    /**
     * Takes the {@code started} of the attempt.
     *
     * @return false if it is too large; then nothing was published
     */
    boolean started(JobEvent.Started started) throws InterruptedException;

    /**
     * Takes a piece of the answer.
     *
     * @return false if a part of it is too large and cannot be cut
     */
    boolean chunk(Answer.Head head, List<TokenEvent> deltas);

    /**
     * Returns the failure for something that this sink cannot take for its size.
     *
     * @param what for example {@code "a part of the answer cannot be cut"}
     */
    JobFailure tooLarge(String what);
}
