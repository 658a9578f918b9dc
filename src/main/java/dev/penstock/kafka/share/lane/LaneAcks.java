package dev.penstock.kafka.share.lane;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The acknowledgements of one lane: when they leave, and what the broker's results mean. */
final class LaneAcks {
    private final TopicHand hand;
    private final long lingerMillis;
    private long lingerUntil = LaneStep.NEVER;

    /** How often the locks of each partition had been in doubt when the acknowledgements in flight left. */
    private final Map<Integer, Integer> doubtsBefore = new HashMap<>();

    LaneAcks(TopicHand hand, long lingerMillis) {
        this.hand = hand;
        this.lingerMillis = lingerMillis;
    }

    /** Returns whether there is something to acknowledge. */
    boolean isDue(Map<Integer, PartitionHand> mine, long now) {
        boolean due =
                mine.values().stream().anyMatch(partition -> !partition.acks().isEmpty());
        if (due && lingerUntil == LaneStep.NEVER) {
            lingerUntil = now + lingerMillis;
        }
        return due;
    }

    /** Returns until when acknowledgements collect while little room is free. */
    long lingerUntil() {
        return lingerUntil;
    }

    /** Removes and returns what the next request carries. */
    Map<Integer, AckGroup> take(Map<Integer, PartitionHand> mine) {
        Map<Integer, AckGroup> taken = new HashMap<>();
        lingerUntil = LaneStep.NEVER;
        for (PartitionHand partition : mine.values()) {
            if (!partition.acks().isEmpty()) {
                taken.put(partition.partition(), partition.acks().take());
                doubtsBefore.put(partition.partition(), partition.doubts());
            }
        }
        return taken;
    }

    /** The session ended before the answer to these came. Another consumer may have had the records since. */
    void unanswered(Map<Integer, AckGroup> groups) {
        groups.forEach((partition, group) -> repeat(hand.partition(partition), group.afterDoubt()));
    }

    /** A record that another lane has taken again meanwhile is in flight, and not done. */
    private static void repeat(PartitionHand partition, AckGroup group) {
        List<AckGroup.Ack> done = group.acks().stream()
                .filter(ack -> !partition.held().containsKey(ack.offset()))
                .toList();
        if (!done.isEmpty()) {
            partition.acks().repeat(new AckGroup(done));
        }
    }

    /**
     * The broker answered.
     *
     * @return whether to wait before the next request
     */
    boolean onResult(PartitionHand partition, AckGroup sent, BrokerCode code) {
        boolean doubted = doubtsBefore.getOrDefault(partition.partition(), 0) != partition.doubts();
        AckGroup group = doubted ? sent.afterDoubt() : sent;
        return switch (code) {
            case NONE -> {
                hand.counts().acknowledged += group.size();
                yield false;
            }
            case NOT_OURS -> {
                if (group.size() > 1) {
                    partition.acks().halve(group);
                } else {
                    hand.counts().refused++;
                }
                yield false;
            }
            case MOVED -> {
                hand.counts().refused += group.size();
                hand.wantMetadata();
                yield false;
            }
            case SESSION_GONE, SESSION_LIMIT, UNKNOWN_MEMBER, MEMBER_LIMIT, NOT_COORDINATOR, RETRY, REFUSED -> {
                repeat(partition, group);
                hand.wantMetadata();
                yield true;
            }
        };
    }
}
