package dev.penstock.settings;

import dev.penstock.job.Priority;
import dev.penstock.tenant.TenantLimits;
import dev.penstock.wire.document.JobDocument;
import dev.penstock.wire.record.GroupNames;
import dev.penstock.wire.record.IntakeMode;
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
 * The settings in force. Every value is checked and valid.
 *
 * @param nodes the nodes from the configuration and the environment; if there are none, Penstock probes localhost
 * @param unknownFor how long a node that was never reached is assumed to have any model
 * @param profiles for each alias, the model of each backend
 * @param routing the routing rules
 * @param parameters the default parameters of every request
 * @param tenants the weights and limits of the tenants that have any, by name
 * @param webhooks the receivers of the outcomes of jobs, by name
 * @param permissions the optional fields that a job's body may have
 * @param admission how direct calls and jobs share the line for the nodes
 * @param refuseEarly whether a waiting job ends as soon as it is predicted to miss its deadline
 * @param groups the names of the consumer groups
 * @param runtimeChanges whether nodes may be added and removed, and topics, pools and nodes paused, at run time
 * @param access how callers reach the API, and which secrets they may refer to
 * @param compat the APIs of other products that Penstock also has
 */
public record Settings(
        List<NodeSettings> nodes,
        Duration unknownFor,
        Map<String, Map<Backend, String>> profiles,
        @Nullable String defaultProfile,
        Routing routing,
        Map<String, Object> parameters,
        Map<String, TenantLimits> tenants,
        Map<String, Webhook> webhooks,
        JobDocument.Permissions permissions,
        Timeouts timeouts,
        Retries retries,
        Continuing continuing,
        Breaker breaker,
        Admission admission,
        boolean refuseEarly,
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
        Answers answers,
        Compat compat) {

    /** Returns the part of {@code intake.max-bytes} for the media that jobs name by URL; 0 if URLs are not allowed. */
    public long mediaBytes() {
        return permissions.hosts().names().isEmpty() ? 0 : intake.maxBytes() / 4;
    }

    /** Returns the part of {@code intake.max-bytes} for records. */
    public long recordBytes() {
        return intake.maxBytes() - mediaBytes();
    }

    /**
     * @param allowedHosts the host names of the API in addition to those of loopback, in lower case, with or without a
     *     port
     * @param secrets the API keys that callers may refer to
     */
    public record Access(Set<String> allowedHosts, Secrets secrets) {
        public Access {
            allowedHosts = Set.copyOf(allowedHosts);
        }
    }

    /**
     * The limits of API calls, for each replica.
     *
     * @param lines the maximum number of jobs in one call
     * @param header the longest time from the first byte of a request to the end of its headers
     * @param body the longest time for a request's whole body
     * @param idle how long a connection may stay open between two requests
     * @param answer how long an answer may wait while its caller reads nothing
     * @param streams the maximum number of event streams at once
     * @param streamBytes the maximum size of the unread events of one stream
     * @param allStreamsBytes the maximum size of the unread events of all streams
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
     * The size limits of a model server's answers, in bytes.
     *
     * @param bytes the maximum size of one answer
     * @param line the maximum size of one line or event of an answer
     * @param listing the maximum size of a list of models, or of another answer about the server itself
     * @param embeddings the maximum size of the document that answers one request for embeddings
     * @param pull the maximum size of all progress messages of one pull or load
     */
    public record Answers(long bytes, int line, int listing, int embeddings, long pull) {
        private static final int MEGABYTE = 1 << 20;

        /** The default limits. */
        public static final Answers USUAL =
                new Answers(64L * MEGABYTE, 16 * MEGABYTE, 4 * MEGABYTE, 32 * MEGABYTE, 256L * MEGABYTE);
    }

    /** @param ollama whether the API has Ollama's paths */
    public record Compat(boolean ollama) {}

    /** @param queue the longest time that a direct call waits for a node */
    public record Timeouts(Duration connect, Duration firstToken, Duration idle, Duration queue) {}

    /**
     * How direct calls and jobs share the line for the nodes.
     *
     * @param maxWaiting the maximum number of direct calls that wait for a node in this replica
     * @param interactiveShare the share of a node's slots that is kept for direct calls while both calls and jobs wait
     *     for it; 0 to 1
     */
    public record Admission(int maxWaiting, double interactiveShare) {}

    /** When an attempt may continue the published text of an earlier attempt. */
    public enum Continuing {
        /** Only with the model that wrote the text. */
        SAME_MODEL,
        /** With any model. */
        ANY,
        /** Never: each attempt starts over. */
        NEVER;

        public String wireName() {
            return name().toLowerCase(Locale.ROOT).replace('_', '-');
        }
    }

    public record Retries(int maxAttempts, Duration backoff, Duration maxBackoff) {
        /** Returns the wait before the n-th further attempt at the same node; n counts from 1. */
        public Duration backoff(int n) {
            Duration wait = backoff.multipliedBy(1L << Math.min(n - 1, 20));
            return wait.compareTo(maxBackoff) > 0 ? maxBackoff : wait;
        }
    }

    /**
     * When a node gets no more jobs, and when it is tried again.
     *
     * @param window the number of latest attempts at a node that decide
     * @param failureRate the share of failed attempts that opens the node's breaker; above 0, at most 1
     * @param minimum the smallest number of attempts that can open the breaker by their share
     * @param halfOpenAfter the time from the opening to the first job that tries the node, and between such jobs
     */
    public record Breaker(int window, double failureRate, int minimum, Duration halfOpenAfter) {
        /** The largest window. */
        public static final int MOST = 64;

        /** The defaults. */
        public static final Breaker USUAL = new Breaker(20, 0.5, 5, Duration.ofSeconds(10));
    }

    /**
     * @param mode the configured mode; if empty, the mode in use applies, or else the best mode that the broker
     *     supports
     * @param shareClient the client of share groups
     * @param consumers with Kafka's share client, the number of consumers for each topic
     * @param batch with Kafka's share client, the records in flight for each consumer
     * @param maxBytes the limit on the bytes of records in flight in this replica; above it, the replica receives no
     *     more records
     * @param park how long a job keeps its queue entry here while all its nodes are down; after that it is deferred
     * @param lowShare the minimum share of job starts that low-priority jobs get while any of them wait; 0 to 1
     */
    public record Intake(
            boolean enabled,
            Optional<IntakeMode> mode,
            int slots,
            ShareClientKind shareClient,
            int consumers,
            int batch,
            long maxBytes,
            Duration park,
            double lowShare,
            List<JobTopic> topics) {
        private static final int MIN_FETCH_BYTES = 1 << 20;
        private static final int MAX_FETCH_BYTES = 50 << 20;

        /**
         * Returns the bytes that one of Kafka's share consumers fetches at once. The fetches of all consumers together
         * may be as large as the limit on records in flight.
         */
        public int fetchBytes() {
            return Math.clamp(maxBytes / (consumers * (long) topics.size()), MIN_FETCH_BYTES, MAX_FETCH_BYTES);
        }

        /** Returns the bytes that one fetch of Penstock's own share client brings. */
        public int ownFetchBytes() {
            return Math.clamp(maxBytes / topics.size(), MIN_FETCH_BYTES, MAX_FETCH_BYTES);
        }
    }

    /** The client that takes jobs from share groups. */
    public enum ShareClientKind {
        /** Penstock's own: one thread for all topics. */
        OWN,
        /** Kafka's, several for each topic. */
        KAFKA;

        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * A job topic.
     *
     * @param tenant the tenant of the topic's jobs, or {@code from-record}
     * @param slots the maximum number of slots of a replica that the topic's jobs may hold
     */
    public record JobTopic(String name, Priority priority, String tenant, int slots) {
        /** Returns whether all jobs of the topic have the same tenant. */
        public boolean hasOneTenant() {
            return !tenant.equals(JobDocument.TENANT_FROM_RECORD);
        }
    }

    /** @param compression the compression of the events, and of the topic if Penstock creates it */
    public record Replies(Duration chunkLinger, int chunkMaxChars, Compression compression) {}

    /** The compression of records. */
    public enum Compression {
        NONE,
        GZIP,
        LZ4;

        /** Returns the name in producers and in the configuration. */
        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }

        /** Returns the value of the topic's {@code compression.type}. */
        public String ofTopic() {
            return this == NONE ? "uncompressed" : wireName();
        }
    }

    /** @param webhooks the topic of the outcomes that are to be posted; it exists only if a webhook is configured */
    public record Topics(
            String deferred,
            String replies,
            String commands,
            String deadLetters,
            String settings,
            String usage,
            String webhooks) {}

    /** @param retention how long a job is kept after its outcome */
    public record Ledger(LedgerKind kind, Duration retention, Path sqliteFile) {}

    /** The kind of database for the ledger. */
    public enum LedgerKind {
        /** A file, for one replica. */
        SQLITE,
        POSTGRESQL,
        /** No ledger. */
        NONE;

        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    public Settings {
        nodes = List.copyOf(nodes);
        profiles = Map.copyOf(profiles);
        parameters = Map.copyOf(parameters);
        tenants = Map.copyOf(tenants);
        webhooks = Map.copyOf(webhooks);
    }

    /** Returns the job topic with that name; empty if this replica does not have it. */
    public Optional<JobTopic> topic(String name) {
        return intake.topics().stream()
                .filter(topic -> topic.name().equals(name))
                .findFirst();
    }

    /** Returns the group that consumes a job topic. */
    public String group(JobTopic topic) {
        return groups.of(topic.name());
    }

    /** Returns the group that consumes the deferred jobs. */
    public String deferredGroup() {
        return groups.of(topics.deferred());
    }

    /** Returns the defaults for the jobs of a topic. */
    public JobDocument.Defaults defaults(JobTopic topic) {
        return new JobDocument.Defaults(topic.priority(), topic.tenant(), jobTimeout, maxJobTimeout, permissions);
    }

    /**
     * Returns the topic for a submission with this priority and tenant. A topic of the tenant takes precedence over a
     * shared topic.
     */
    public Optional<JobTopic> topicFor(Priority priority, String tenant) {
        return Stream.of(tenant, JobDocument.TENANT_FROM_RECORD)
                .flatMap(whose -> intake.topics().stream()
                        .filter(topic ->
                                topic.priority() == priority && topic.tenant().equals(whose)))
                .findFirst();
    }
}
