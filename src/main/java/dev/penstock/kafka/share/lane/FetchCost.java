package dev.penstock.kafka.share.lane;

/**
 * What the records of a lane cost in bytes. Brokers send whole batches, even for a single record. While records are
 * dear, the next fetch waits a moment for more room.
 */
final class FetchCost {
    /** Records with more bytes than this are dear. */
    private static final int DEAR_BYTES = 64 << 10;

    /** The rate of dear records: 32 MB a second. */
    private static final int BYTES_A_MILLI = 32 << 10;

    private static final int LONGEST_MILLIS = 50;

    private long until = Long.MIN_VALUE;
    private long enough;

    void fetched(long bytes, int records, long now) {
        boolean dear = bytes > (long) DEAR_BYTES * records;
        enough = dear ? bytes / DEAR_BYTES : 0;
        until = dear ? now + Math.min(LONGEST_MILLIS, bytes / BYTES_A_MILLI) : Long.MIN_VALUE;
    }

    /** Returns whether to wait for more room than for so many records. */
    boolean isTooHigh(int records, long now) {
        return now < until && records < enough;
    }

    long highUntil() {
        return until;
    }
}
