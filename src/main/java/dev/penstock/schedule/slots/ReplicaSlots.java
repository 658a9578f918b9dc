package dev.penstock.schedule.slots;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Counts the replica's free slots, and the slots that the jobs of each topic may still take. These slots are for jobs: a
 * direct call needs none.
 */
public final class ReplicaSlots {
    /** Stands for the topic of a direct call, which has no topic and takes no slot. */
    public static final String NO_TOPIC = "";

    private final Map<String, Integer> leftByTopic;
    private Set<String> paused = Set.of();
    private int free;

    /**
     * @param byTopic the largest number of slots for the jobs of each topic; the jobs of any other topic may hold all
     *     slots
     */
    public ReplicaSlots(int slots, Map<String, Integer> byTopic) {
        free = slots;
        leftByTopic = new HashMap<>(byTopic);
    }

    public int free() {
        return free;
    }

    /** Sets the topics whose jobs may take no slots. */
    public void pause(Set<String> topics) {
        paused = Set.copyOf(topics);
    }

    public boolean mayTake(String topic) {
        return topic.equals(NO_TOPIC) || isFree(topic);
    }

    private boolean isFree(String topic) {
        return free > 0 && !paused.contains(topic) && leftByTopic.getOrDefault(topic, 1) > 0;
    }

    /** Returns whether a job of a topic may take a slot after a job of another topic has given back its slot. */
    public boolean mayTakeAfter(String topic, String givenBack) {
        return !givenBack.equals(NO_TOPIC)
                && !paused.contains(topic)
                && (leftByTopic.getOrDefault(topic, 1) > 0 || topic.equals(givenBack));
    }

    /** Returns how many of a topic's own slots its jobs do not hold. */
    public int left(String topic) {
        return leftByTopic.getOrDefault(topic, 0);
    }

    public void take(String topic) {
        if (topic.equals(NO_TOPIC)) {
            return;
        }
        free--;
        leftByTopic.computeIfPresent(topic, (_, left) -> left - 1);
    }

    public void giveBack(String topic) {
        if (topic.equals(NO_TOPIC)) {
            return;
        }
        free++;
        leftByTopic.computeIfPresent(topic, (_, left) -> left + 1);
    }

    /** Returns the topics whose jobs hold all slots that they may hold. */
    public List<String> fullTopics() {
        return leftByTopic.entrySet().stream()
                .filter(topic -> topic.getValue() <= 0)
                .map(Map.Entry::getKey)
                .toList();
    }
}
