package dev.penstock.dispatch;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import org.jspecify.annotations.Nullable;

/**
 * Jobs that may crash the process that runs them, by how many of their runs ended without an outcome. Any other job of
 * that process may have caused the first crash. After the second one, the job runs among few quarantined jobs; after
 * the third, alone among them. So a job that only ran beside the cause gets its outcome. Thread-safe.
 */
public final class Quarantine {
    /** A job with so many crashed runs is poison. */
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

    /** The right to run; closing it gives it back. */
    interface Pass extends AutoCloseable {
        @Override
        void close();
    }

    /**
     * @param crashedRuns the crashed runs of the job, fewer than {@link #POISON}
     * @return null: it has to wait
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
