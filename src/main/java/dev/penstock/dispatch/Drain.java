package dev.penstock.dispatch;

import dev.penstock.job.JobId;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jboss.logging.Logger;

/** Ends the runs of a replica that stops, and logs the jobs that it waits for. */
final class Drain {
    private static final Logger LOG = Logger.getLogger(Drain.class);
    private static final Duration REPORT = Duration.ofSeconds(5);
    private static final Duration HAND_BACK_WITHIN = Duration.ofSeconds(5);
    private static final int MOST_LISTED = 5;

    private final RunsInFlight runs;
    private final Consumer<String> lines;
    private List<JobId> logged = List.of();

    Drain(RunsInFlight runs) {
        this(runs, LOG::info);
    }

    /** @param lines receives each log line */
    Drain(RunsInFlight runs, Consumer<String> lines) {
        this.runs = runs;
        this.lines = lines;
    }

    /** A job whose run has not ended. */
    record Left(JobId id, Instant acceptedAt) {}

    /**
     * Hands back the waiting jobs, and waits for the running jobs to end. After the given time it stops the remaining
     * runs, and hands their jobs back too.
     */
    void run(Duration atMost) throws InterruptedException {
        runs.stopWaiting();
        if (!awaitEnds(atMost)) {
            LOG.warnf("%d jobs have not ended within penstock.drain.timeout: another replica takes them", runs.size());
            runs.stopAll();
            if (!runs.awaitEnds(HAND_BACK_WITHIN)) {
                LOG.warnf("%d jobs could not be handed back: they come again when their locks end", runs.size());
            }
        }
    }

    /**
     * Waits until all runs have ended. Logs the remaining jobs at once, and again after a change, at most every five
     * seconds.
     */
    private boolean awaitEnds(Duration atMost) throws InterruptedException {
        long until = System.nanoTime() + atMost.toNanos();
        while (true) {
            look(left(), Math.max(0, TimeUnit.NANOSECONDS.toSeconds(until - System.nanoTime())));
            Duration left = Duration.ofNanos(Math.max(0, until - System.nanoTime()));
            Duration step = left.compareTo(REPORT) < 0 ? left : REPORT;
            if (runs.awaitEnds(step)) {
                look(List.of(), 0);
                return true;
            }
            if (step.equals(left)) {
                return false;
            }
        }
    }

    private List<Left> left() {
        return runs.jobs().stream()
                .map(taken -> new Left(taken.job().id(), taken.job().acceptedAt()))
                .toList();
    }

    /**
     * Logs the jobs that the drain waits for, if they have changed.
     *
     * @param seconds the longest time that the drain still waits
     */
    void look(List<Left> left, long seconds) {
        List<Left> oldestFirst = left.stream()
                .sorted(Comparator.comparing(Left::acceptedAt)
                        .thenComparing(job -> job.id().value()))
                .toList();
        List<JobId> ids = oldestFirst.stream().map(Left::id).toList();
        if (ids.equals(logged)) {
            return;
        }
        logged = ids;
        if (ids.isEmpty()) {
            lines.accept("draining: no job runs any more");
            return;
        }
        String listed = ids.stream().limit(MOST_LISTED).map(JobId::value).collect(Collectors.joining(", "));
        lines.accept("draining: waiting for %d running job%s, %d s at most: %s%s; the oldest was accepted at %s"
                .formatted(
                        ids.size(),
                        ids.size() == 1 ? "" : "s",
                        seconds,
                        listed,
                        ids.size() > MOST_LISTED ? " and %d more".formatted(ids.size() - MOST_LISTED) : "",
                        oldestFirst.getFirst().acceptedAt()));
    }
}
