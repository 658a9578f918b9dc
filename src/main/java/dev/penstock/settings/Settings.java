package dev.penstock.settings;

import dev.penstock.job.Priority;
import dev.penstock.wire.GroupNames;
import dev.penstock.wire.IntakeMode;
import dev.penstock.wire.JobDocument;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What is in force, checked: every value in it is valid.
 *
 * @param nodes from the configuration and the environment; empty: localhost is probed
 * @param unknownFor how long a node that was never reached may turn out to have any model
 * @param profiles alias → backend → model
 * @param parameters of every request that says nothing else
 * @param permissions what a job's body may hold beyond what any may
 * @param groups what the consumer groups are called
 * @param runtimeChanges whether nodes may be added and removed while it runs
 * @param access how the API is reached, and what its callers may refer to
 */
public record Settings(
        List<NodeSettings> nodes,
        Duration unknownFor,
        Map<String, Map<Backend, String>> profiles,
        @Nullable String defaultProfile,
        Map<String, Object> parameters,
        JobDocument.Permissions permissions,
        Timeouts timeouts,
        Retries retries,
        Duration jobTimeout,
        Duration maxJobTimeout,
        Intake intake,
        Replies replies,
        Topics topics,
        GroupNames groups,
        Ledger ledger,
        boolean createTopics,
        int maxRecord,
        Duration drainTimeout,
        boolean runtimeChanges,
        Access access,
        Api api,
        Answers answers) {

    /** The part of {@code intake.max-bytes} for what jobs name by URL; 0 where they may not. */
    public long mediaBytes() {
        return permissions.hosts().names().isEmpty() ? 0 : intake.maxBytes() / 4;
    }

    /** The part of {@code intake.max-bytes} for records. */
    public long recordBytes() {
        return intake.maxBytes() - mediaBytes();
    }

    /**
     * @param allowedHosts names that the API is reached by beside those of loopback, in lower case, with or without a port
     * @param secrets the keys that callers may refer to
     */
    public record Access(Set<String> allowedHosts, Secrets secrets) {
        public Access {
            allowedHosts = Set.copyOf(allowedHosts);
        }
    }

    /**
     * What callers of the API may take of this replica.
     *
     * @param lines jobs in one call
     * @param header from the first byte of a request to the end of its headers
     * @param body how long all of a request's body may be waited for
     * @param idle how long a connection may stay open between two requests
     * @param answer how long a caller may take nothing of an answer that waits for it
     * @param streams event streams at once
     * @param streamBytes events of one stream that its caller has not read yet
     * @param allStreamsBytes of all streams together
     */
    public record Api(
            int lines,
            Duration header,
            Duration body,
            Duration idle,
            Duration answer,
            int streams,
            int streamBytes,
            long allStreamsBytes) {}

    /**
     * What a model server may send, in bytes.
     *
     * @param bytes of one answer
     * @param line of one line or event of it
     * @param listing of a list of models, or of another answer about the server itself
     * @param embeddings of the document that answers one request for embeddings
     * @param pull of all that is told of one pull or load
     */
    public record Answers(long bytes, int line, int listing, int embeddings, long pull) {
        private static final int MEGABYTE = 1 << 20;

        /** The limits of a configuration that names none. */
        public static final Answers USUAL =
                new Answers(64L * MEGABYTE, 16 * MEGABYTE, 4 * MEGABYTE, 32 * MEGABYTE, 256L * MEGABYTE);
    }

    public record Timeouts(Duration connect, Duration firstToken, Duration idle) {}

    public record Retries(int maxAttempts, Duration backoff, Duration maxBackoff) {
        /** The wait before the n-th further attempt at the same node; n counts from 1. */
        public Duration backoff(int n) {
            Duration wait = backoff.multipliedBy(1L << Math.min(n - 1, 20));
            return wait.compareTo(maxBackoff) > 0 ? maxBackoff : wait;
        }
    }

    /**
     * @param mode empty: whichever is in use, else what the broker can do
     * @param consumers for each topic
     * @param batch records in one consumer's hand; empty: so that consumers × batch = slots × partitions
     * @param maxBytes of records in this replica's hand; beyond it takes no more
     * @param park how long a job whose nodes are all down keeps its place here before it is set aside
     * @param lowShare of the starts that low jobs get at least while any wait; 0 to 1
     */
    public record Intake(
            boolean enabled,
            Optional<IntakeMode> mode,
            int slots,
            int consumers,
            Optional<Integer> batch,
            long maxBytes,
            Duration park,
            double lowShare,
            List<JobTopic> topics) {
        private static final int MIN_FETCH_BYTES = 1 << 20;
        private static final int MAX_FETCH_BYTES = 50 << 20;

        public int batch(JobTopic topic, int partitions) {
            return batch.orElseGet(() -> Math.max(1, Math.ceilDiv(topic.slots() * partitions, consumers)));
        }

        /** What one consumer asks for at once: all of them together may bring as much again as may be in hand. */
        public int fetchBytes() {
            return Math.clamp(maxBytes / (consumers * (long) topics.size()), MIN_FETCH_BYTES, MAX_FETCH_BYTES);
        }
    }

    /**
     * A topic that jobs come from.
     *
     * @param slots how many of a replica's slots its jobs hold at most
     */
    public record JobTopic(String name, Priority priority, String tenant, int slots) {}

    /** @param compression of the events that are written, and of the topic where Penstock makes it */
    public record Replies(Duration chunkLinger, int chunkMaxChars, Compression compression) {}

    /** How records are compressed. */
    public enum Compression {
        NONE,
        GZIP,
        LZ4;

        /** As producers and the configuration name it. */
        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }

        /** The topic's {@code compression.type}. */
        public String ofTopic() {
            return this == NONE ? "uncompressed" : wireName();
        }
    }

    public record Topics(String deferred, String replies, String commands, String deadLetters, String settings) {}

    /** @param retention counts from a job's outcome */
    public record Ledger(LedgerKind kind, Duration retention, Path sqliteFile) {}

    /** Where the ledger lies. */
    public enum LedgerKind {
        /** A file: for one replica. */
        SQLITE,
        POSTGRESQL,
        /** There is none. */
        NONE;

        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    public Settings {
        nodes = List.copyOf(nodes);
        profiles = Map.copyOf(profiles);
        parameters = Map.copyOf(parameters);
    }

    /** The job topic of that name; empty: this replica knows none, or no longer. */
    public Optional<JobTopic> topic(String name) {
        return intake.topics().stream()
                .filter(topic -> topic.name().equals(name))
                .findFirst();
    }

    /** The group that takes the jobs of a topic. */
    public String group(JobTopic topic) {
        return groups.of(topic.name());
    }

    /** The group that takes the jobs that were set aside. */
    public String deferredGroup() {
        return groups.of(topics.deferred());
    }

    /** What the jobs of a topic are where they say nothing. */
    public JobDocument.Defaults defaults(JobTopic topic) {
        return new JobDocument.Defaults(
                topic.priority(), topic.tenant(), jobTimeout, maxJobTimeout, retries.maxAttempts(), permissions);
    }

    /** The topic that a submission of this priority and tenant goes to: the tenant's own before one for all. */
    public Optional<JobTopic> topicFor(Priority priority, String tenant) {
        return Stream.of(tenant, JobDocument.TENANT_FROM_RECORD)
                .flatMap(whose -> intake.topics().stream()
                        .filter(topic ->
                                topic.priority() == priority && topic.tenant().equals(whose)))
                .findFirst();
    }
}
