package dev.penstock.kafka.share.lane;

import java.util.Map;
import java.util.Set;

/** A request of one lane. The lane sends the next one after the answer. */
public sealed interface LaneRequest {
    /** The epoch that opens a session. */
    int OPENING = 0;

    /** The epoch that ends a session. */
    int FINAL = -1;

    int epoch();

    /** The acknowledgements, by partition. */
    Map<Integer, AckGroup> acks();

    /**
     * Asks for records.
     *
     * @param added the partitions that are new in the session
     * @param forgotten the partitions that leave the session
     * @param records the exact limit of records
     * @param waitMillis how long the broker may wait for a record
     */
    record Fetch(
            int epoch,
            Map<Integer, AckGroup> acks,
            Set<Integer> added,
            Set<Integer> forgotten,
            int records,
            int waitMillis)
            implements LaneRequest {
        public Fetch {
            if (epoch == OPENING && !acks.isEmpty()) {
                throw new IllegalArgumentException("the first request of a session has no acknowledgements");
            }
        }
    }

    /**
     * Acknowledges without asking for records.
     *
     * @param renewing whether all acknowledgements are renewals; renewals do not mix with others
     */
    record Acknowledge(int epoch, Map<Integer, AckGroup> acks, boolean renewing) implements LaneRequest {}
}
