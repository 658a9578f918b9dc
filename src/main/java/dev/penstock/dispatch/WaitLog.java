package dev.penstock.dispatch;

import dev.penstock.job.Waiting;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.EnumMap;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Logs why jobs wait. It writes a line when jobs have waited for a while for anything other than a slot, and another
 * line when the reason changes. Owned by the thread that calls {@link #look}.
 */
final class WaitLog {
    private static final Duration AFTER = Duration.ofSeconds(5);
    private static final Duration AT_MOST_EVERY = Duration.ofSeconds(30);

    private final Clock clock;
    private final Consumer<String> out;
    private final Map<Waiting.Code, Seen> seen = new EnumMap<>(Waiting.Code.class);

    /** @param reported the last report in the log; null if there is none */
    private record Seen(Instant since, @Nullable Report reported) {}

    private record Report(String message, Instant at) {}

    WaitLog(Clock clock, Consumer<String> out) {
        this.clock = clock;
        this.out = out;
    }

    /** Logs those reasons that are due. It must be called periodically. */
    void look(Map<Waiting.Code, WaitingJobs> waiting) {
        Instant now = clock.instant();
        for (Waiting.Code code : Waiting.Code.values()) {
            WaitingJobs jobs = code == Waiting.Code.SLOT ? null : waiting.get(code);
            if (jobs == null) {
                gone(code);
            } else {
                Seen before = seen.getOrDefault(code, new Seen(now, null));
                seen.put(code, new Seen(before.since(), report(code, jobs, before, now)));
            }
        }
    }

    private @Nullable Report report(Waiting.Code code, WaitingJobs jobs, Seen before, Instant now) {
        Report reported = before.reported();
        boolean due = reported == null
                ? !before.since().plus(AFTER).isAfter(now)
                : !reported.message().equals(jobs.message())
                        && !reported.at().plus(AT_MOST_EVERY).isAfter(now);
        if (!due) {
            return reported;
        }
        out.accept("waiting=%s %s".formatted(code.wireName(), jobs.words()));
        return new Report(jobs.message(), now);
    }

    private void gone(Waiting.Code code) {
        Seen before = seen.remove(code);
        if (before != null && before.reported() != null) {
            out.accept("waiting=%s no job waits any more".formatted(code.wireName()));
        }
    }
}
