package dev.penstock.dispatch;

import dev.penstock.job.JobId;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/** Logs what a drain waits for, and again whenever that has changed. */
final class DrainLog {
    private static final int NAMED = 5;

    private final Consumer<String> lines;
    private List<JobId> said = List.of();

    /** @param lines gets each line */
    DrainLog(Consumer<String> lines) {
        this.lines = lines;
    }

    /** A job that still runs. */
    record Left(JobId id, Instant acceptedAt) {}

    /** @param seconds the longest time that it waits from now on */
    void look(List<Left> left, long seconds) {
        List<Left> oldestFirst = left.stream()
                .sorted(Comparator.comparing(Left::acceptedAt)
                        .thenComparing(job -> job.id().value()))
                .toList();
        List<JobId> ids = oldestFirst.stream().map(Left::id).toList();
        if (ids.equals(said)) {
            return;
        }
        said = ids;
        if (ids.isEmpty()) {
            lines.accept("draining: no job runs any more");
            return;
        }
        String named = ids.stream().limit(NAMED).map(JobId::value).collect(Collectors.joining(", "));
        lines.accept("draining: waiting for %d running job%s, %d s at most: %s%s; the oldest was accepted at %s"
                .formatted(
                        ids.size(),
                        ids.size() == 1 ? "" : "s",
                        seconds,
                        named,
                        ids.size() > NAMED ? " and %d more".formatted(ids.size() - NAMED) : "",
                        oldestFirst.getFirst().acceptedAt()));
    }
}
