package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.LaneStep;
import dev.penstock.kafka.share.lane.TopicLanes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** The brokers, and when to ask for them again: a state machine without input and output. */
final class Cluster {
    private static final long RETRY_MILLIS = 100;

    private final long ageMillis;
    private Map<Integer, Address> brokers = Map.of();
    private long askAt;
    private boolean asking;
    private int turn;

    /** Where a broker listens. */
    record Address(String host, int port) {}

    /** The broker that coordinates a group. */
    record Coordinator(int broker, Address address) {}

    /**
     * An answer with the brokers and topics.
     *
     * @param topics by name; a topic that the brokers do not know is absent
     * @param complete whether every topic is there, and every partition has a leader
     */
    record View(Map<Integer, Address> brokers, Map<String, TopicLanes.View> topics, boolean complete) {}

    Cluster(long ageMillis) {
        this.ageMillis = ageMillis;
    }

    Map<Integer, Address> brokers() {
        return brokers;
    }

    /** Returns when the next request is due. */
    long askAt() {
        return asking ? LaneStep.NEVER : askAt;
    }

    /** The leaders may have changed. */
    void askSoon(long now) {
        askAt = Math.min(askAt, now + RETRY_MILLIS);
    }

    /** A topic is new here. */
    void askNow(long now) {
        askAt = Math.min(askAt, now);
    }

    void sent() {
        asking = true;
    }

    void onView(View view, long now) {
        asking = false;
        if (!view.brokers().isEmpty()) {
            brokers = Map.copyOf(view.brokers());
        }
        askAt = now + (view.complete() ? ageMillis : Math.min(ageMillis, 2 * RETRY_MILLIS));
    }

    /** The answer did not come. */
    void onFailure(long now) {
        asking = false;
        turn++;
        askAt = now + RETRY_MILLIS;
    }

    /** A broker cannot be reached. The next one is tried. */
    void onDown(long now) {
        turn++;
        askSoon(now);
    }

    /** Returns the brokers in the order to try; empty if none is known. */
    List<Integer> order() {
        List<Integer> order = new ArrayList<>(brokers.keySet());
        Collections.sort(order);
        Collections.rotate(order, turn);
        return order;
    }

    /** Returns the number of failures, to rotate over the first addresses. */
    int turn() {
        return turn;
    }
}
