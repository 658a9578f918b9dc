package dev.penstock.settings;

import dev.penstock.job.Priority;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What is in force, checked: every value in it is valid.
 *
 * @param nodes from the configuration and the environment; empty: localhost is probed
 * @param profiles alias → backend → model
 */
public record Settings(
        List<NodeSettings> nodes,
        Map<String, Map<Backend, String>> profiles,
        @Nullable String defaultProfile,
        Timeouts timeouts,
        Retries retries,
        Duration jobTimeout,
        Duration maxJobTimeout,
        Intake intake,
        Replies replies,
        Topics topics,
        boolean createTopics,
        int maxRecord,
        Duration drainTimeout) {

    public record Timeouts(Duration connect, Duration firstToken, Duration idle) {}

    public record Retries(int maxAttempts, Duration backoff, Duration maxBackoff) {
        /** The wait before the n-th further attempt at the same node; n counts from 1. */
        public Duration backoff(int n) {
            Duration wait = backoff.multipliedBy(1L << Math.min(n - 1, 20));
            return wait.compareTo(maxBackoff) > 0 ? maxBackoff : wait;
        }
    }

    /**
     * @param consumers for each topic
     * @param batch records in one consumer's hand; empty: so that consumers × batch = slots × partitions
     */
    public record Intake(boolean enabled, int slots, int consumers, Optional<Integer> batch, List<JobTopic> topics) {
        public int batch(int partitions) {
            return batch.orElseGet(() -> Math.max(1, Math.ceilDiv(slots * partitions, consumers)));
        }
    }

    /** A topic that jobs come from. */
    public record JobTopic(String name, Priority priority, String tenant) {}

    public record Replies(Duration chunkLinger, int chunkMaxChars) {}

    public record Topics(String replies, String commands, String deadLetters) {}

    public Settings {
        nodes = List.copyOf(nodes);
        profiles = Map.copyOf(profiles);
    }

    /** The topic that a submission of this priority and tenant goes to. */
    public Optional<JobTopic> topicFor(Priority priority, String tenant) {
        return intake.topics().stream()
                .filter(topic -> topic.priority() == priority && topic.tenant().equals(tenant))
                .findFirst();
    }
}
