package dev.penstock.settings.source;

import dev.penstock.settings.Secrets;
import dev.penstock.settings.Settings;
import io.quarkus.runtime.configuration.MemorySize;
import io.smallrye.config.ConfigMapping;
import io.smallrye.config.WithDefault;
import io.smallrye.config.WithName;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The keys under {@code penstock}, as users write them. {@link Settings} contains the checked values. */
@ConfigMapping(prefix = "penstock")
public interface PenstockConfig {
    /** The model servers, by name. */
    Map<String, NodeConfig> nodes();

    /**
     * How long a node that was never up is assumed to have any model. After that, a job fails with {@code
     * model_not_found} if no other node has its model.
     */
    @WithName("nodes.unknown-for")
    @WithDefault("5m")
    Duration unknownFor();

    /** The aliases for models. Each alias has one model for each backend. */
    Map<String, Map<String, String>> profiles();

    /** The profile for jobs that name no model. */
    Optional<String> defaultProfile();

    /**
     * Whether a job without a rule's targets and without pins may go to the pool cloud, after all other pools. The
     * rules themselves, {@code penstock.routes}, are free-form keys.
     */
    @WithDefault("false")
    boolean cloudFallback();

    /** The default parameters of every request. A value that is JSON is used as JSON. */
    Map<String, String> parameters();

    /** The weights and limits of the tenants, by name. */
    Map<String, TenantConfig> tenants();

    TimeoutsConfig timeouts();

    AdmissionConfig admission();

    ImagesConfig images();

    RetriesConfig retries();

    /** When an attempt continues the text of a failed attempt: same-model, any or never. */
    @WithName("continue")
    @WithDefault("same-model")
    String continuing();

    BreakerConfig breaker();

    DeadlinesConfig deadlines();

    JobsConfig jobs();

    IntakeConfig intake();

    RepliesConfig replies();

    LedgerConfig ledger();

    AuthConfig auth();

    KafkaConfig kafka();

    /** The names of Penstock's own topics. */
    TopicsConfig topics();

    /** The receivers of the outcomes of jobs, by name. */
    Map<String, WebhookConfig> webhooks();

    /** The prefix of every consumer group's name. Two installations on one Kafka need different prefixes. */
    Optional<String> groupsPrefix();

    DrainConfig drain();

    ChangesConfig config();

    ApiConfig api();

    AnswersConfig answers();

    CompatConfig compat();

    /** The media that Penstock fetches for a job. */
    interface ImagesConfig {
        /**
         * The hosts of the images, audio, video and files that a job may name by URL; host:port for a specific port.
         */
        Optional<Set<String>> allowedHosts();
    }

    /** The limits of further attempts after a node failed. */
    interface RetriesConfig {
        @WithDefault("3")
        int maxAttempts();

        /** The wait before the second attempt at the same node. It doubles with each further attempt. */
        @WithDefault("200ms")
        Duration backoff();

        @WithDefault("10s")
        Duration maxBackoff();
    }

    /** When a node that fails its jobs gets no more of them, and when it is tried again. */
    interface BreakerConfig {
        /** The number of latest attempts at a node that decide; at most 64. */
        @WithDefault("20")
        int window();

        /** The share of failed attempts that opens the node's breaker; above 0, at most 1. */
        @WithDefault("0.5")
        double failureRate();

        /** The smallest number of attempts that can open the breaker by their share. */
        @WithDefault("5")
        int minimum();

        /** The time from the opening to the first job that tries the node, and between such jobs. */
        @WithDefault("10s")
        Duration halfOpenAfter();
    }

    /** What becomes of jobs with a deadline. */
    interface DeadlinesConfig {
        /** Whether a waiting job ends as soon as it is predicted to miss its deadline. */
        @WithDefault("false")
        boolean refuseEarly();
    }

    /** Limits of a job's running time. */
    interface JobsConfig {
        @WithDefault("10m")
        Duration timeout();

        @WithDefault("1h")
        Duration maxTimeout();

        /** Fields that jobs may use although they give access to a model server's internals. */
        Optional<Set<String>> allowedFields();
    }

    /** How this replica receives jobs. */
    interface IntakeConfig {
        /** Whether this replica receives jobs. If not, it serves the API only. */
        @WithDefault("true")
        boolean enabled();

        /**
         * The intake mode: share (Kafka 4.3), classic (any broker) or auto. With auto, the mode in use applies, or else
         * the best mode that the broker supports.
         */
        @WithDefault("auto")
        String mode();

        /** The maximum number of jobs that run at once in this replica. */
        @WithDefault("64")
        int slots();

        /** The client of share groups: own or kafka. */
        @WithDefault("own")
        String shareClient();

        /** With share-client kafka, the number of consumers for each topic. Default: 16. */
        Optional<Integer> consumers();

        /** With share-client kafka, the records in flight for each consumer. Default: 16. */
        Optional<Integer> batch();

        /**
         * The limit on the bytes of records in flight in this replica. Above it, the replica receives no more records.
         * Default: a sixteenth of the largest heap.
         */
        Optional<MemorySize> maxBytes();

        /** How long a job keeps its queue entry here while all its nodes are down. After that it is deferred. */
        @WithDefault("5s")
        Duration park();

        /** The minimum share of job starts that low-priority jobs get while any of them wait. */
        @WithDefault("0.1")
        double lowShare();

        /** The job topics. Default: one topic for each priority; its name is under {@code penstock.topics}. */
        Optional<List<IntakeTopicConfig>> topics();
    }

    /** A job topic. */
    interface IntakeTopicConfig {
        String name();

        @WithDefault("normal")
        String priority();

        /** The tenant that owns the topic's jobs. */
        @WithDefault("default")
        String tenant();

        /** The maximum number of slots of a replica that the topic's jobs may hold. Default: all. */
        Optional<Integer> slots();
    }

    /** How Penstock combines the text of answers into chunks on the reply topic. */
    interface RepliesConfig {
        /** How long text may wait for more text. The first chunk never waits. */
        @WithDefault("50ms")
        Duration chunkLinger();

        /** The maximum number of characters in a chunk. */
        @WithDefault("256")
        int chunkMaxChars();

        /** The compression: none, gzip or lz4. It applies to the events, and to the topic if Penstock creates it. */
        @WithDefault("lz4")
        String compression();
    }

    /** The database in which Penstock keeps the outcome of each job. */
    interface LedgerConfig {
        /**
         * The kind of database: sqlite (one replica, no set-up), postgresql (any number of replicas) or none (clients
         * cannot poll).
         */
        @WithDefault("sqlite")
        String kind();

        /** How long clients can read a job after its outcome. */
        @WithDefault("24h")
        Duration retention();

        /** The file of the SQLite database. Penstock creates its folder. */
        @WithDefault("data/penstock.db")
        String path();

        /** The address of the PostgreSQL database: jdbc:postgresql://host:5432/database. */
        Optional<String> url();

        Optional<String> username();

        Optional<String> password();
    }

    /** Who may call the API. */
    interface AuthConfig {
        /** The only mode is none, and it must be set explicitly. Without it, the API listens on loopback only. */
        Optional<String> mode();

        /**
         * The prefix of the environment variables that contain API keys. A node that is added at run time may refer to
         * such a variable as env:NAME.
         */
        @WithDefault(Secrets.DEFAULT_PREFIX)
        String secretPrefix();

        /**
         * The folder of the files that contain API keys. Such a node may refer to a file as file:/path. Default: no
         * files are allowed.
         */
        Optional<Path> secretDir();

        /** The hosts that may receive such a key: for each variable or file name, a list of host or host:port. */
        Map<String, Set<String>> secretHosts();
    }

    /** What Penstock requires of the broker. */
    interface KafkaConfig {
        /** Whether Penstock creates missing topics. If not, the topics must exist. */
        @WithDefault("true")
        boolean createTopics();

        /** The size of the largest record, in bytes. It applies to topics, producers, fetches and REST. */
        @WithDefault("8388608")
        int maxRecord();
    }

    /** Whether the configuration can change at run time. */
    interface ChangesConfig {
        /** Whether REST calls can add and remove nodes. */
        @WithDefault("true")
        boolean runtimeChanges();
    }

    /** How a replica drains when it stops. */
    interface DrainConfig {
        /** How long running jobs may continue during a drain. */
        @WithDefault("60s")
        Duration timeout();
    }

    /** The limits of API calls, for each replica. */
    interface ApiConfig {
        /**
         * Further host names that the Host header of a call may have, as host or host:port. The names of loopback are
         * always valid.
         */
        Optional<Set<String>> allowedHosts();

        /** The maximum number of jobs in one call with JSON lines. Further lines are not read. */
        @WithDefault("10000")
        int maxLines();

        /**
         * The longest time from the connection, or from the first byte of a further request, to the end of the
         * request's headers.
         */
        @WithDefault("10s")
        Duration headerTimeout();

        /** The longest time for a request's whole body, including pauses. */
        @WithDefault("1m")
        Duration bodyTimeout();

        /** How long a connection may stay open between two requests. */
        @WithDefault("5m")
        Duration idleTimeout();

        /** How long an answer may wait while its caller reads nothing. */
        @WithDefault("1m")
        Duration answerTimeout();

        /** The maximum number of event streams that are open at once. */
        @WithDefault("1000")
        int maxStreams();

        /** The maximum size of the unread events of one stream. */
        @WithDefault("256K")
        MemorySize maxStreamBytes();

        /** The maximum size of the unread events of all streams. Default: a sixteenth of the largest heap. */
        Optional<MemorySize> maxStreamsBytes();
    }

    /** The APIs of other products that Penstock also has. */
    interface CompatConfig {
        /** Whether the API has Ollama's paths: those under /api, and the root. */
        @WithDefault("false")
        boolean ollama();
    }
}
