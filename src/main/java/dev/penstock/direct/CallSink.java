package dev.penstock.direct;

import dev.penstock.execution.AnswerSink;
import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import java.util.List;
import java.util.function.Consumer;

/** Hands the answer of an execution to the caller of a direct call. The thread of the execution owns it. */
final class CallSink implements AnswerSink {
    private final CallBuffer buffer;
    private final Consumer<JobEvent.Started> onStarted;
    private final Runnable onStalled;
    private boolean spoke;
    private long seq;

    /** @param onStalled runs when the caller has read nothing for too long */
    CallSink(CallBuffer buffer, Consumer<JobEvent.Started> onStarted, Runnable onStalled) {
        this.buffer = buffer;
        this.onStarted = onStarted;
        this.onStalled = onStalled;
    }

    @Override
    public void begin(int attempt) {
        seq = 0;
    }

    @Override
    public boolean started(JobEvent.Started started) {
        onStarted.accept(started);
        return true;
    }

    @Override
    public boolean mayStartLate() {
        // no other run counts the attempts of a call
        return true;
    }

    @Override
    public boolean chunk(Answer.Head head, List<TokenEvent> deltas) throws InterruptedException {
        spoke = true;
        seq++;
        if (!buffer.put(head, deltas)) {
            onStalled.run();
        }
        return true;
    }

    @Override
    public boolean mayStartOver() {
        return !spoke;
    }

    @Override
    public long lastSeq() {
        return seq;
    }

    @Override
    public boolean awaitPublished() {
        // what is in the buffer reaches the caller, or the call ends
        return true;
    }

    @Override
    public JobFailure tooLarge(String what) {
        return JobFailure.of(JobFailure.Code.TOO_LARGE, what);
    }
}
