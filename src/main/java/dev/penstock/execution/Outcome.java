package dev.penstock.execution;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.node.Node;
import org.jspecify.annotations.Nullable;

/**
 * The result that ends a job.
 *
 * @param event the event that ends the job
 * @param started the event {@code started} of the attempt that led to the outcome; null if no attempt led to it
 * @param answer the whole answer; null if there is none
 * @param node the node of that attempt; null if no attempt led to the outcome
 */
public record Outcome(
        JobEvent event,
        JobEvent.@Nullable Started started,
        @Nullable Answer answer,
        @Nullable Node node) {
    /** Returns an outcome that no attempt led to. */
    public static Outcome withoutAttempt(JobEvent event) {
        return new Outcome(event, null, null, null);
    }

    /** Returns the outcome that an attempt led to. */
    public static Outcome of(JobEvent event, JobEvent.Started started, Node node) {
        Answer answer = event instanceof JobEvent.Completed completed ? completed.answer() : null;
        return new Outcome(event, started, answer, node);
    }

    /**
     * Returns the same outcome with an event that has no text, so that a record can hold it. Only the chunks contain
     * the text.
     */
    public Outcome truncated(JobEvent.Completed completed) {
        return new Outcome(completed.withoutText(), started, answer, node);
    }

    /** Returns the same outcome for an attempt that publishes the whole text again. */
    public Outcome startingOver() {
        return new Outcome(
                event instanceof JobEvent.Completed completed ? completed.startingOver() : event,
                started == null ? null : started.startingOver(),
                answer,
                node);
    }

    /** Returns whether only the chunks contain the text. */
    public boolean isTruncated() {
        return event instanceof JobEvent.Completed completed && completed.truncated();
    }
}
