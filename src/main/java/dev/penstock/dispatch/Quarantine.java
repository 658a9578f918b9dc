package dev.penstock.dispatch;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import org.jspecify.annotations.Nullable;

/**
 * Limits the runs of jobs that may have crashed their process. After one crashed run a job runs freely, because any
 * other job of that process may have caused the crash. After two crashed runs, it runs together with only a few other
 * quarantined jobs. After three, it is the only quarantined job that runs. So a job that only ran at the same time as
 * the cause gets its outcome. Thread-safe.
 */
public final class Quarantine {
    /** The number of crashed runs after which a job is poison. */
    public static final int POISON = 4;

    private static final int ALONE = 3;
    private static final int FREE = 1;
    private static final int AT_ONCE = 8;

    /* Guarded by this. */
    private int running;
    private boolean alone;

    Quarantine(MeterRegistry meters) {
        Gauge.builder("penstock.suspects", this, Quarantine::running).register(meters);
    }

    /** The right to run a job. Closing it gives the right back. */
    interface Pass extends AutoCloseable {
        @Override
        void close();
    }

    /**
     * Asks for the right to run a job.
     *
     * @param crashedRuns the number of the job's crashed runs, below {@link #POISON}
     * @return null if the job has to wait
     */
    synchronized @Nullable Pass enter(int crashedRuns) {
        if (crashedRuns <= FREE) {
            return () -> {};
        }
        boolean wantsAlone = crashedRuns >= ALONE;
        if (alone || running >= (wantsAlone ? 1 : AT_ONCE)) {
            return null;
        }
        running++;
        alone = wantsAlone;
        return this::leave;
    }

    private synchronized void leave() {
        running--;
        alone = false;
    }

    synchronized int running() {
        return running;
    }
}
