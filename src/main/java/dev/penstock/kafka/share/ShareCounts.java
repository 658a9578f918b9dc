package dev.penstock.kafka.share;

/** Counters of one topic. They belong to the client's thread. */
final class ShareCounts {
    long fetches;
    long emptyFetches;
    long taken;
    long acknowledged;
    long acknowledgedAgain;
    long refused;
    long renewed;
    long renewRequests;
    long adopted;
    long lost;
    long gaps;
    long damaged;
    long oversized;
    long bytes;
    long disconnects;

    ShareStatistics snapshot(int inHand, int lanes) {
        return new ShareStatistics(
                fetches,
                emptyFetches,
                taken,
                acknowledged,
                acknowledgedAgain,
                refused,
                renewed,
                renewRequests,
                adopted,
                lost,
                gaps,
                damaged,
                oversized,
                bytes,
                disconnects,
                inHand,
                lanes);
    }
}
