package dev.penstock.dispatch;

import dev.penstock.execution.AnswerSink;
import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.reply.JobReplies;
import java.util.List;

/** Publishes the events of an execution on the reply topic. Not thread-safe: the thread of the run owns it. */
final class ReplySink implements AnswerSink {
    private final JobReplies replies;
    private final boolean recovered;
    private final Validity validity;
    private boolean started;

    /** Knows whether the events of the current attempt are valid. */
    @FunctionalInterface
    interface Validity {
        /** Returns whether they are valid; all of them are on the broker. */
        boolean isValid() throws InterruptedException;
    }

    /** @param recovered whether an earlier run of the job may have crashed */
    ReplySink(JobReplies replies, boolean recovered, Validity validity) {
        this.replies = replies;
        this.recovered = recovered;
        this.validity = validity;
    }

    /** Returns whether this run has sent a {@code started}. From then on its events count the run. */
    boolean hasStarted() {
        return started;
    }

    @Override
    public void begin(int attempt) {
        replies.begin(attempt);
    }

    @Override
    public boolean started(JobEvent.Started event) throws InterruptedException {
        if (!replies.send(event)) {
            return false;
        }
        started = true;
        if (recovered) {
            // wait for the broker: without this event, a job that crashes its process at once would leave no trace, and
            // other jobs of the process would be quarantined in its place
            var _ = replies.awaitSent();
        }
        return true;
    }

    @Override
    public boolean mayStartLate() {
        return started || !recovered;
    }

    @Override
    public boolean chunk(Answer.Head head, List<TokenEvent> deltas) {
        return replies.send(new JobEvent.Chunk(head, deltas));
    }

    @Override
    public boolean mayStartOver() {
        // by the reading rule, a later attempt voids the chunks
        return true;
    }

    @Override
    public long lastSeq() {
        return replies.lastSeq();
    }

    @Override
    public boolean awaitPublished() throws InterruptedException {
        return replies.awaitSent() && validity.isValid();
    }

    @Override
    public JobFailure tooLarge(String what) {
        return replies.tooLarge(what);
    }
}
