package dev.penstock.kafka.share.lane;

/**
 * When the next request of a lane may leave: later after a throttled answer or an error. It also knows what records cost.
 * Brokers send whole batches, even for a single record. While records are dear, the next fetch waits a moment for more
 * room.
 */
final class LanePace {
    static final long RETRY_MILLIS = 100;
    static final long FIRST_PAUSE_MILLIS = 1_000;
    static final long LONGEST_PAUSE_MILLIS = 30_000;

    /** Records with more bytes than this are dear. */
    private static final int DEAR_BYTES = 64 << 10;

    /** The rate of dear records: 32 MB a second. */
    private static final int BYTES_A_MILLI = 32 << 10;

    private static final int LONGEST_MILLIS = 50;

    private long notBefore;
    private long pause = FIRST_PAUSE_MILLIS;
    private long until = Long.MIN_VALUE;
    private long enough;
    private boolean filled;

    /** Returns the earliest time of the next request. */
    long notBefore() {
        return notBefore;
    }

    /** The next request leaves so much later. */
    void later(long millis, long now) {
        notBefore = Math.max(notBefore, now + millis);
    }

    /** The same request may succeed soon. */
    void retry(long now) {
        later(RETRY_MILLIS, now);
    }

    /** A request failed. Where only a person can help, the pause is longer each time. */
    void failed(BrokerCode code, long now) {
        switch (code) {
            case NONE, SESSION_GONE -> {}
            case NOT_OURS, MOVED, UNKNOWN_MEMBER, NOT_COORDINATOR, RETRY -> retry(now);
            case SESSION_LIMIT, MEMBER_LIMIT, REFUSED -> {
                later(pause, now);
                pause = Math.min(LONGEST_PAUSE_MILLIS, pause * 2);
            }
        }
    }

    /** The broker takes requests. */
    void recovered() {
        pause = FIRST_PAUSE_MILLIS;
    }

    /** @param wanted how many records the fetch asked for */
    void fetched(long bytes, int records, int wanted, long now) {
        filled = records > 0 && records >= wanted;
        boolean dear = bytes > (long) DEAR_BYTES * records;
        enough = dear ? bytes / DEAR_BYTES : 0;
        until = dear ? now + Math.min(LONGEST_MILLIS, bytes / BYTES_A_MILLI) : Long.MIN_VALUE;
    }

    /** Returns whether the last fetch brought all that it asked for. */
    boolean isFilled() {
        return filled;
    }

    /** Returns whether to wait for more room than for so many records. */
    boolean areDear(int records, long now) {
        return now < until && records < enough;
    }

    long dearUntil() {
        return until;
    }
}
