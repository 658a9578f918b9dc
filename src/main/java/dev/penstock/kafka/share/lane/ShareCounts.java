package dev.penstock.kafka.share.lane;

/** Counters of one topic. They belong to the client's thread. */
public final class ShareCounts {
    public long fetches;
    public long emptyFetches;
    public long taken;
    public long acknowledged;
    public long refused;
    public long renewed;
    public long renewRequests;
    public long adopted;
    public long lost;
    public long gaps;
    public long damaged;
    public long oversized;
    public long bytes;
    public long disconnects;
}
