package dev.penstock.ledger.janitor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.Task;
import dev.penstock.job.Waiting;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.JobTimeline;
import dev.penstock.ledger.row.Submission;
import dev.penstock.ledger.row.Submissions;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** A job of second 0, whose first attempt starts at second 1. */
class JanitorTest {
    private static final RecordPlace RECORD = new RecordPlace("prompt-jobs", 0, 7);

    @Test
    void a_queued_job_ends_at_its_deadline() {
        JobRow row = submitted(15_000L, 600_000);
        assertThat(outcome(row, 14_999)).isNull();
        assertThat(outcome(row, 15_000)).isInstanceOf(JobEvent.Expired.class);
    }

    @Test
    void a_running_job_is_its_workers_to_end_for_30_seconds() {
        JobRow row = started(submitted(15_000L, 600_000), 1);
        assertThat(outcome(row, 44_999)).isNull();
        assertThat(outcome(row, 45_000)).isInstanceOf(JobEvent.Expired.class);
    }

    @Test
    void a_deferred_job_that_has_started_ends_at_its_deadline() {
        JobRow row = deferred(started(submitted(15_000L, 600_000), 1), 1);
        assertThat(outcome(row, 14_999)).isNull();
        assertThat(outcome(row, 15_000)).isInstanceOf(JobEvent.Expired.class);
    }

    @Test
    void a_deferred_job_that_runs_again_is_its_workers_to_end() {
        JobRow row = started(deferred(started(submitted(15_000L, 600_000), 1), 1), 2);
        assertThat(outcome(row, 15_000)).isNull();
    }

    @Test
    void a_deferred_job_past_its_running_time_fails_with_a_true_text() {
        JobRow row = deferred(started(submitted(null, 10_000), 1), 1);
        assertThat(outcome(row, 10_999)).isNull();
        assertThat(outcome(row, 11_000))
                .isInstanceOfSatisfying(
                        JobEvent.Failed.class,
                        failed -> assertThat(failed.failure().message())
                                .isEqualTo(
                                        "the job ran longer than its timeout, PT10S: it waits for a node after attempt 1"));
    }

    @Test
    void the_time_that_is_over_first_decides() {
        assertThat(outcome(deferred(started(submitted(60_000L, 10_000), 1), 1), 70_000))
                .isInstanceOf(JobEvent.Failed.class);
        assertThat(outcome(deferred(started(submitted(5_000L, 10_000), 1), 1), 70_000))
                .isInstanceOf(JobEvent.Expired.class);
    }

    @Test
    void a_cancelled_job_that_is_deferred_ends_at_once() {
        JobRow running = started(submitted(null, 600_000), 1).after(new JobRow.Change.Cancel(2_000));
        assertThat(outcome(running, 2_000)).isNull();
        assertThat(outcome(deferred(running, 1), 2_000)).isInstanceOf(JobEvent.Cancelled.class);
    }

    private static @Nullable JobEvent outcome(JobRow row, long now) {
        return Janitor.outcome(row, row.submissions().chosen().orElseThrow(), now);
    }

    private static JobRow submitted(@Nullable Long deadline, long timeout) {
        Submission submission = new Submission(
                new RecordStamp(0, RECORD),
                "hash",
                Task.CHAT,
                Priority.NORMAL,
                "default",
                "tiny",
                timeout,
                deadline,
                PromptJob.Pins.NONE,
                Map.of(),
                null);
        return JobRow.unknown(new JobId("a")).after(new JobRow.Change.Submitted(submission, "{}"));
    }

    private static JobRow started(JobRow row, int attempt) {
        return Objects.requireNonNull(row.after(new JobRow.Change.Happened(
                new JobTimeline.Event(
                        new EventMark(EventMark.Kind.STARTED, attempt, "r", 0),
                        attempt,
                        attempt * 1_000L,
                        new JobTimeline.Started(RECORD, "gpu-a", "vllm", "tiny")),
                null)));
    }

    private static JobRow deferred(JobRow row, int lastAttempt) {
        RecordStamp stamp = new RecordStamp(3_000, new RecordPlace("prompt-jobs-deferred", 1, lastAttempt));
        return row.after(new JobRow.Change.Deferred(
                new Submissions.DeferredRecord(stamp, RECORD, lastAttempt, 8_000, Waiting.Code.NODE_DOWN)));
    }
}
