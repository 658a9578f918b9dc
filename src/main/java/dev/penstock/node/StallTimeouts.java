package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import java.time.Duration;

/**
 * Limits how long a node may be silent before its first token, and then between tokens. Times are arguments, in
 * nanoseconds of one clock. Not thread-safe: the thread of the run owns it.
 */
public final class StallTimeouts {
    private final NodeSettings node;
    private final Settings.Timeouts timeouts;
    private final Task task;
    private long sinceNanos;
    private boolean spoken;

    /** @param begunNanos the time when the attempt began */
    public StallTimeouts(NodeSettings node, Settings.Timeouts timeouts, Task task, long begunNanos) {
        this.node = node;
        this.timeouts = timeouts;
        this.task = task;
        sinceNanos = begunNanos;
    }

    /** Notes that a token ended the silence. */
    public void endsAt(long nowNanos) {
        sinceNanos = nowNanos;
        spoken = true;
    }

    /** Returns how long the silence may still last; 0 or less if it has lasted too long. */
    public long leftNanos(long nowNanos) {
        return sinceNanos + patience().toNanos() - nowNanos;
    }

    /**
     * Returns the longest silence. If the answer is no text, it is always the limit for a first token, because
     * each batch of a job's inputs is a request of its own.
     */
    private Duration patience() {
        return spoken && task.answersInText() ? timeouts.idle() : timeouts.firstToken();
    }

    /** Returns the failure for a silence that lasted too long. */
    public JobFailure tooLong() {
        return spoken
                ? JobFailure.of(
                        JobFailure.Code.IDLE_TIMEOUT,
                        "%s sent nothing for %d ms in mid-stream (timeouts.idle of the node, else penstock.timeouts.idle)"
                                .formatted(node, timeouts.idle().toMillis()))
                : JobFailure.of(
                        JobFailure.Code.FIRST_TOKEN_TIMEOUT,
                        "%s sent no token within %d ms (timeouts.first-token of the node, else penstock.timeouts.first-token)"
                                .formatted(node, timeouts.firstToken().toMillis()));
    }
}
