package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.execution.time.TimeLimits;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class TimeLimitsTest {
    private static final ExecutionRig RIG = new ExecutionRig();
    private static final Instant NOW = Instant.EPOCH;

    private static PromptJob job(Duration timeout, Duration deadline) {
        return RIG.job().timeout(timeout).deadlineIn(deadline).model("llama");
    }

    @Test
    void a_job_that_never_ran_has_its_deadline_alone() {
        TimeLimits limits = new TimeLimits(job(Duration.ofSeconds(5), Duration.ofSeconds(60)), null);

        assertThat(limits.left(NOW.plusSeconds(20))).isEqualTo(Duration.ofSeconds(40));
        assertThat(limits.left(NOW.plusSeconds(61))).isEqualTo(Duration.ofSeconds(-1));
        assertThat(limits.over(null, null)).isInstanceOf(JobEvent.Expired.class);
    }

    @Test
    void a_job_without_a_deadline_waits_for_long() {
        assertThat(new TimeLimits(RIG.job().model("llama"), null).left(NOW)).isEqualTo(Duration.ofDays(365));
    }

    @Test
    void the_timeout_counts_from_the_first_start() {
        TimeLimits limits = new TimeLimits(job(Duration.ofSeconds(5), Duration.ofSeconds(60)), null)
                .startedAt(NOW.plusSeconds(10))
                .startedAt(NOW.plusSeconds(12));

        assertThat(limits.left(NOW.plusSeconds(12))).isEqualTo(Duration.ofSeconds(3));
        JobFailure last = JobFailure.of(JobFailure.Code.NODE_ERROR, "broken");
        assertThat(((JobEvent.Failed) limits.over(null, last)).failure())
                .isEqualTo(JobFailure.of(
                        JobFailure.Code.TIMEOUT,
                        "the job ran longer than its timeout, PT5S. Its last attempt failed: broken"));
    }

    @Test
    void the_earlier_of_the_two_decides_how_the_job_ends() {
        Instant first = NOW.plusSeconds(10);

        assertThat(new TimeLimits(job(Duration.ofSeconds(50), Duration.ofSeconds(60)), first).over(null, null))
                .as("both at the same time")
                .isInstanceOf(JobEvent.Expired.class);
        assertThat(new TimeLimits(job(Duration.ofSeconds(49), Duration.ofSeconds(60)), first).over(null, null))
                .isInstanceOf(JobEvent.Failed.class);
    }
}
