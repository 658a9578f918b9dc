package dev.penstock.schedule;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The replica's slots: how many are free, and how many of them the jobs of each topic may still take. */
final class ReplicaSlots {
    private final Map<String, Integer> leftByTopic;
    private int free;

    /** @param byTopic how many slots the jobs of a topic hold at most; a topic that is not in it may hold all */
    ReplicaSlots(int slots, Map<String, Integer> byTopic) {
        free = slots;
        leftByTopic = new HashMap<>(byTopic);
    }

    int free() {
        return free;
    }

    boolean mayTake(String topic) {
        return free > 0 && leftByTopic.getOrDefault(topic, 1) > 0;
    }

    void take(String topic) {
        free--;
        leftByTopic.computeIfPresent(topic, (_, left) -> left - 1);
    }

    void giveBack(String topic) {
        free++;
        leftByTopic.computeIfPresent(topic, (_, left) -> left + 1);
    }

    /** The topics whose jobs hold as many slots as they may. */
    List<String> fullTopics() {
        return leftByTopic.entrySet().stream()
                .filter(topic -> topic.getValue() <= 0)
                .map(Map.Entry::getKey)
                .toList();
    }
}
