package dev.penstock.reply;

import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;

/** Watches without a topic. */
public final class TestWatches {
    private TestWatches() {}

    /** Returns a watch whose scan could not read the partition. */
    public static Watch unreadable(JobId id) {
        Watch watch = new Watch(id, 0, ResumePoint.START, _ -> {});
        watch.fail(JobFailure.of(JobFailure.Code.BROKER_UNAVAILABLE, "the replies cannot be read"));
        return watch;
    }
}
