package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.ShareCounts;

/**
 * What the client has done for one topic.
 *
 * @param refused acknowledgements of records that this process did not own any more
 * @param adopted records that came again while their job ran here
 * @param lost records whose lock was gone
 * @param damaged records of damaged batches
 * @param oversized records whose value was too large to keep
 * @param bytes the size of all batches
 * @param lanes the brokers with a session
 */
public record ShareStatistics(
        long fetches,
        long emptyFetches,
        long taken,
        long acknowledged,
        long refused,
        long renewed,
        long renewRequests,
        long adopted,
        long lost,
        long gaps,
        long damaged,
        long oversized,
        long bytes,
        long disconnects,
        int inHand,
        int lanes) {
    static ShareStatistics of(ShareCounts counts, int inHand, int lanes) {
        return new ShareStatistics(
                counts.fetches,
                counts.emptyFetches,
                counts.taken,
                counts.acknowledged,
                counts.refused,
                counts.renewed,
                counts.renewRequests,
                counts.adopted,
                counts.lost,
                counts.gaps,
                counts.damaged,
                counts.oversized,
                counts.bytes,
                counts.disconnects,
                inHand,
                lanes);
    }
}
