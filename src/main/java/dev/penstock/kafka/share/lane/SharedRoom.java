package dev.penstock.kafka.share.lane;

import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * The room that all topics share: how many records they may have in flight together. A topic takes what is free beyond a
 * probe of one record for each more urgent topic. While a more urgent topic has more records at the broker, a topic
 * takes only its least. What is asked for cannot be taken back, so a topic asks for one record until records come, and
 * then for a multiple of what came last.
 */
public final class SharedRoom {
    private static final int GROWTH = 8;

    private final List<TopicLanes> topics = new CopyOnWriteArrayList<>();
    private volatile int most = Integer.MAX_VALUE;

    /** Adds a topic; from any thread. */
    synchronized void add(TopicLanes topic) {
        topics.add(topic);
        topics.sort(Comparator.comparingInt(TopicLanes::rank));
    }

    /** Sets how many records all topics may have in flight; from any thread. */
    public void most(int records) {
        most = records;
    }

    /** Returns the room of a topic that no lane has asked for; may be negative. */
    int free(TopicLanes topic, long now) {
        int own = topic.hand().room() - topic.used();
        if (topics.size() < 2 && most == Integer.MAX_VALUE) {
            return own;
        }
        int least = topic.hand().least() - topic.used();
        return Math.min(own, isHeldBack(topic, now) ? least : Math.max(least, left() - probesBefore(topic)));
    }

    /** Returns whether a more urgent topic has records for all room that becomes free. */
    boolean isHeldBack(TopicLanes topic, long now) {
        for (TopicLanes other : topics) {
            if (other.rank() < topic.rank() && other.hasMore(now)) {
                return true;
            }
        }
        return false;
    }

    /** Returns the most records that a lane asks for at once. */
    int limit(Lane lane) {
        return topics.size() < 2 ? Integer.MAX_VALUE : Math.max(1, GROWTH * lane.brought());
    }

    /** Returns whether another topic waits and finds nothing left after these records. */
    boolean othersStarve(TopicLanes topic, int records) {
        if (left() - records > 0) {
            return false;
        }
        for (TopicLanes other : topics) {
            if (other != topic && other.isHungry()) {
                return true;
            }
        }
        return false;
    }

    private int left() {
        int left = most;
        for (TopicLanes topic : topics) {
            left -= topic.used();
        }
        return left;
    }

    private int probesBefore(TopicLanes topic) {
        int probes = 0;
        for (TopicLanes other : topics) {
            if (other == topic) {
                break;
            }
            if (other.isHungry()) {
                probes++;
            }
        }
        return probes;
    }
}
