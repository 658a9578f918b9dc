package dev.penstock.dispatch;

import dev.penstock.job.JobId;

/**
 * Jobs that wait for the same thing.
 *
 * @param example the id of one of these jobs
 * @param message the reason why this job waits
 */
public record WaitingJobs(int count, JobId example, String message) {
    WaitingJobs and(WaitingJobs more) {
        return new WaitingJobs(count + more.count, example, message);
    }

    public String words() {
        return "%d %s, such as %s: %s".formatted(count, count == 1 ? "job" : "jobs", example, message);
    }
}
