package dev.penstock.dispatch;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.node.Node;
import org.jspecify.annotations.Nullable;

/**
 * What a run has to say in the end.
 *
 * @param event one of the outcomes
 * @param started the {@code started} of the attempt that led to it; null: none did
 * @param answer whole; null: there is none
 * @param node where the attempt ran; null: nowhere
 */
record Outcome(
        JobEvent event,
        JobEvent.@Nullable Started started,
        @Nullable Answer answer,
        @Nullable Node node) {
    static Outcome withoutAttempt(JobEvent event) {
        return new Outcome(event, null, null, null);
    }

    static Outcome of(JobEvent event, JobEvent.Started started, Node node) {
        Answer answer = event instanceof JobEvent.Completed completed ? completed.answer() : null;
        return new Outcome(event, started, answer, node);
    }

    /** The same with an event that a record can hold: the text stands in the chunks alone. */
    Outcome truncated(JobEvent.Completed completed) {
        return new Outcome(completed.withoutText(), started, answer, node);
    }

    boolean isTruncated() {
        return event instanceof JobEvent.Completed completed && completed.truncated();
    }
}
