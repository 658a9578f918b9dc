package dev.penstock.kafka.share.lane;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;

/** The broker's answer to a request of a lane. */
public sealed interface LaneAnswer {
    BrokerCode code();

    /** The error's name, for logs. */
    String error();

    /** How long the broker asks the client to wait. */
    int throttleMillis();

    /** How long a lock lasts; 0 if the answer does not say. */
    int lockMillis();

    /** Adjacent offsets that the broker has locked for this member. */
    record Acquired(long first, long last, int deliveries) {}

    /**
     * @param acknowledged the result of the acknowledgements in the request
     * @param records the batches, whole ones, also with records that were not asked for
     */
    record PartitionFetched(
            int partition,
            BrokerCode code,
            String error,
            BrokerCode acknowledged,
            List<Acquired> acquired,
            ByteBuffer records) {
        int count() {
            long count = 0;
            for (Acquired range : acquired) {
                count += range.last() - range.first() + 1;
            }
            return (int) count;
        }
    }

    record Fetched(BrokerCode code, String error, int throttleMillis, int lockMillis, List<PartitionFetched> partitions)
            implements LaneAnswer {}

    /** @param partitions the results by partition */
    record Acknowledged(
            BrokerCode code, String error, int throttleMillis, int lockMillis, Map<Integer, BrokerCode> partitions)
            implements LaneAnswer {}
}
