package dev.penstock.dispatch;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jboss.logging.Logger;

/** Ends the runs of a replica that stops. */
final class Drain {
    private static final Logger LOG = Logger.getLogger(Drain.class);
    private static final Duration REPORT = Duration.ofSeconds(5);
    private static final Duration HAND_BACK_WITHIN = Duration.ofSeconds(5);

    private final RunsInFlight runs;
    private final DrainLog log;

    Drain(RunsInFlight runs) {
        this.runs = runs;
        log = new DrainLog(LOG::info);
    }

    /**
     * Hands back the jobs that only wait, and waits for the others to end. Runs that have not ended by then are stopped,
     * and their jobs are handed back too.
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

    /** Logs what it waits for: at once, and each change, every five seconds at most. */
    private boolean awaitEnds(Duration atMost) throws InterruptedException {
        long until = System.nanoTime() + atMost.toNanos();
        while (true) {
            log.look(left(), secondsUntil(until));
            Duration left = Duration.ofNanos(Math.max(0, until - System.nanoTime()));
            Duration step = left.compareTo(REPORT) < 0 ? left : REPORT;
            if (runs.awaitEnds(step)) {
                log.look(List.of(), 0);
                return true;
            }
            if (step.equals(left)) {
                return false;
            }
        }
    }

    private List<DrainLog.Left> left() {
        return runs.jobs().stream()
                .map(taken -> new DrainLog.Left(taken.job().id(), taken.job().acceptedAt()))
                .toList();
    }

    private static long secondsUntil(long until) {
        return Math.max(0, TimeUnit.NANOSECONDS.toSeconds(until - System.nanoTime()));
    }
}
