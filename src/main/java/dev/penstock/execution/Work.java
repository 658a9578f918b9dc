package dev.penstock.execution;

import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.job.RecordPlace;
import dev.penstock.settings.Rule;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A job and the results of its earlier runs.
 *
 * @param rule the job's routing rule; {@link Rule#NONE} if it has none
 * @param record the record in which the job arrived; the event {@code started} contains its place
 * @param firstStarted the time when the job first started; null if it never started
 * @param lastAttempt the job's last attempt; 0 if there is none
 * @param outcomeAttempt the attempt number for an outcome that no attempt leads to
 * @param failures the number of earlier failed attempts that count against max_attempts
 * @param published the text that earlier runs published and this run may continue; null if there is none
 */
public record Work(
        PromptJob job,
        Rule rule,
        RecordPlace record,
        @Nullable Instant firstStarted,
        int lastAttempt,
        int outcomeAttempt,
        int failures,
        @Nullable PublishedText published) {}
