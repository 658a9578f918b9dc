package dev.penstock.cli.view;

import java.time.Duration;
import java.util.Locale;

/**
 * The progress of a run of many jobs.
 *
 * @param done the number of jobs with results, including results of earlier runs
 * @param failed the number of these jobs that failed
 * @param now the number of jobs with results from this run
 * @param elapsed the time since this run began
 */
public record Tally(long total, long done, long failed, long now, Duration elapsed) {
    private static final int BAR = 30;

    Tally plus(boolean completed) {
        return new Tally(total, done + 1, failed + (completed ? 0 : 1), now + 1, elapsed);
    }

    Tally after(Duration newElapsed) {
        return new Tally(total, done, failed, now, newElapsed);
    }

    /** Returns a bar and the numbers, for a terminal. */
    String bar() {
        int filled = total == 0 ? BAR : (int) (BAR * Math.min(done, total) / total);
        return "[" + "#".repeat(filled) + ".".repeat(BAR - filled) + "] " + numbers();
    }

    /** Returns only the numbers, for a log. */
    String numbers() {
        double seconds = elapsed.toMillis() / 1000.0;
        double rate = seconds > 0 ? now / seconds : 0;
        return String.format(Locale.ROOT, "%d/%d done, %d failed, %.1f jobs/s", done, total, failed, rate);
    }
}
