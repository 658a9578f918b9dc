package dev.penstock.schedule;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Counts the replica's free slots, and the slots that the jobs of each topic may still take. */
final class ReplicaSlots {
    private final Map<String, Integer> leftByTopic;
    private Set<String> paused = Set.of();
    private int free;

    /**
     * @param byTopic the largest number of slots for the jobs of each topic; the jobs of any other topic may hold all
     *     slots
     */
    ReplicaSlots(int slots, Map<String, Integer> byTopic) {
        free = slots;
        leftByTopic = new HashMap<>(byTopic);
    }

    int free() {
        return free;
    }

    /** Sets the topics whose jobs may take no slots. */
    void pause(Set<String> topics) {
        paused = Set.copyOf(topics);
    }

    boolean mayTake(String topic) {
        return free > 0 && !paused.contains(topic) && leftByTopic.getOrDefault(topic, 1) > 0;
    }

    /** Returns whether a job of a topic may take a slot after a job of another topic has given back its slot. */
    boolean mayTakeAfter(String topic, String givenBack) {
        return !paused.contains(topic) && (leftByTopic.getOrDefault(topic, 1) > 0 || topic.equals(givenBack));
    }

    /** Returns how many of a topic's own slots its jobs do not hold. */
    int left(String topic) {
        return leftByTopic.getOrDefault(topic, 0);
    }

    void take(String topic) {
        free--;
        leftByTopic.computeIfPresent(topic, (_, left) -> left - 1);
    }

    void giveBack(String topic) {
        free++;
        leftByTopic.computeIfPresent(topic, (_, left) -> left + 1);
    }

    /** Returns the topics whose jobs hold all slots that they may hold. */
    List<String> fullTopics() {
        return leftByTopic.entrySet().stream()
                .filter(topic -> topic.getValue() <= 0)
                .map(Map.Entry::getKey)
                .toList();
    }
}
