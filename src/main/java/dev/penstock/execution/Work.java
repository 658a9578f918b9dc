package dev.penstock.execution;

import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A job, and what is known of it before this run.
 *
 * @param record the record that the job came in; {@code started} names it
 * @param firstStarted when the job first ran; null if it never ran
 * @param lastAttempt its last attempt; 0 if there is none
 * @param outcomeAttempt the attempt of an outcome that no attempt leads to
 * @param failures attempts of earlier runs that failed and count
 */
public record Work(
        PromptJob job,
        RecordPlace record,
        @Nullable Instant firstStarted,
        int lastAttempt,
        int outcomeAttempt,
        int failures) {}
