package dev.penstock.intake.share;

/**
 * How many records wait here beyond those that run. They keep the slots busy while the next ones are on their way, and
 * give priorities and jobs of the same model a choice. So it is the number of jobs that ended lately: long jobs need few
 * records, which another replica could run, and short jobs need many. One thread uses it.
 */
final class LookAhead {
    static final int LEAST = 8;

    /** A cold JVM with a busy processor needs 50 ms for a fetch. A warm one needs 2 ms to 5 ms. */
    private static final double WINDOW_MILLIS = 100;

    private double lately;
    private long last;

    /** @param now milliseconds of a clock that never goes back */
    LookAhead(long now) {
        last = now;
    }

    /**
     * Returns the look-ahead: at least {@link #LEAST}, and at most twice the number of jobs that can run.
     *
     * @param ended how many jobs have ended since the last call
     * @param capacity how many jobs can run at once
     */
    int after(int ended, int capacity, long now) {
        lately = lately * Math.exp((last - now) / WINDOW_MILLIS) + ended;
        last = now;
        return Math.max(LEAST, (int) Math.min(2L * capacity, Math.round(lately)));
    }
}
