package dev.penstock.execution.time;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * The two time limits of a job: its deadline, and its timeout, which begins with the job's first start.
 *
 * @param firstStarted the time of the first start; null if the job never started
 */
public record TimeLimits(PromptJob job, @Nullable Instant firstStarted) {
    private static final Duration LONGEST_WAIT = Duration.ofDays(365);

    /** Returns the limits after an attempt starts. Only the first start counts. */
    public TimeLimits startedAt(Instant now) {
        return firstStarted == null ? new TimeLimits(job, now) : this;
    }

    /** Returns the time left; 0 or less if the job's time is over. */
    public Duration left(Instant now) {
        Instant end = job.deadline() == null ? Instant.MAX : job.deadline();
        if (firstStarted != null && firstStarted.plus(job.timeout()).isBefore(end)) {
            end = firstStarted.plus(job.timeout());
        }
        return end.isAfter(now.plus(LONGEST_WAIT)) ? LONGEST_WAIT : Duration.between(now, end);
    }

    /**
     * Returns the outcome of a job whose time is over.
     *
     * @param execution the running attempt; null if no attempt runs
     * @param last the failure of the last attempt; null if none failed
     */
    public JobEvent over(JobEvent.@Nullable Execution execution, @Nullable JobFailure last) {
        // do not compare with the current time: the clock may lag slightly behind the wait that has just ended
        Instant deadline = job.deadline();
        if (deadline != null && (firstStarted == null || !deadline.isAfter(firstStarted.plus(job.timeout())))) {
            return new JobEvent.Expired(execution, job.metadata());
        }
        JobFailure failure = JobFailure.of(
                JobFailure.Code.TIMEOUT,
                "the job ran longer than its timeout, %s%s"
                        .formatted(job.timeout(), last == null ? "" : ". Its last attempt failed: " + last.message()));
        return new JobEvent.Failed(failure, execution, job.metadata());
    }
}
