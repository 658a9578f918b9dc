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

/** The keys under {@code penstock}, as users write them. {@link Settings} has the checked values. */
@ConfigMapping(prefix = "penstock")
public interface PenstockConfig {
    /** The model servers, by name. */
    Map<String, NodeConfig> nodes();

    /**
     * How long a node that was never up may turn out to have any model. After that, jobs for a model that no other
     * node has fail with {@code model_not_found}.
     */
    @WithName("nodes.unknown-for")
    @WithDefault("5m")
    Duration unknownFor();

    /** Aliases for models: one model for each backend. */
    Map<String, Map<String, String>> profiles();

    /** The profile of jobs that name no model. */
    Optional<String> defaultProfile();

    /** Defaults for the parameters of every request. A value that is JSON counts as JSON. */
    Map<String, String> parameters();

    TimeoutsConfig timeouts();

    ImagesConfig images();

    RetriesConfig retries();

    JobsConfig jobs();

    IntakeConfig intake();

    RepliesConfig replies();

    LedgerConfig ledger();

    AuthConfig auth();

    KafkaConfig kafka();

    TopicsConfig topics();

    /** The prefix of every consumer group's name. Two installations on one Kafka need different prefixes. */
    Optional<String> groupsPrefix();

    DrainConfig drain();

    ChangesConfig config();

    ApiConfig api();

    AnswersConfig answers();

    /** What Penstock fetches for a job. */
    interface ImagesConfig {
        /** Hosts whose images, audio, video and files a job may name by URL; host:port for a specific port. */
        Optional<Set<String>> allowedHosts();
    }

    /** How long a node may take. */
    interface TimeoutsConfig {
        @WithDefault("2s")
        Duration connect();

        /** From the request to the first token. */
        @WithDefault("120s")
        Duration firstToken();

        /** Between two tokens. */
        @WithDefault("30s")
        Duration idle();
    }

    /** Attempts after a node failed. */
    interface RetriesConfig {
        @WithDefault("3")
        int maxAttempts();

        /** The wait before the second attempt at the same node. It doubles with each further attempt. */
        @WithDefault("200ms")
        Duration backoff();

        @WithDefault("10s")
        Duration maxBackoff();
    }

    /** Limits of a job's running time. */
    interface JobsConfig {
        @WithDefault("10m")
        Duration timeout();

        @WithDefault("1h")
        Duration maxTimeout();

        /** Fields with access to a model server's internals that jobs may use anyway. */
        Optional<Set<String>> allowedFields();
    }

    /** How this replica receives jobs. */
    interface IntakeConfig {
        /** false: this replica serves the API only. */
        @WithDefault("true")
        boolean enabled();

        /**
         * share (Kafka 4.3), classic (any broker) or auto: the mode in use, else the best mode that the broker
         * supports.
         */
        @WithDefault("auto")
        String mode();

        /** Jobs that run at once in this replica. */
        @WithDefault("64")
        int slots();

        /** Consumers per topic; docs/kafka.md has the measurement behind the default. */
        @WithDefault("16")
        int consumers();

        /** Records in flight per consumer; consumers × batch = slots × partitions. Default: computed. */
        Optional<Integer> batch();

        /**
         * Bytes of records in flight in this replica. Above the limit it receives no more. Default: a sixteenth of
         * the largest heap.
         */
        Optional<MemorySize> maxBytes();

        /** How long a job keeps its queue entry here while all its nodes are down. After that it is deferred. */
        @WithDefault("5s")
        Duration park();

        /** The least share of the starts for low jobs while any of them wait. */
        @WithDefault("0.1")
        double lowShare();

        /** The job topics. Default: one for each priority, with its name under {@code penstock.topics}. */
        Optional<List<IntakeTopicConfig>> topics();
    }

    /** A job topic. */
    interface IntakeTopicConfig {
        String name();

        @WithDefault("normal")
        String priority();

        /** The owner of its jobs. */
        @WithDefault("default")
        String tenant();

        /** The most slots of a replica that its jobs may hold. Default: all. */
        Optional<Integer> slots();
    }

    /** How answers are batched onto the reply topic. */
    interface RepliesConfig {
        /** How long text may wait for more text. The first chunk never waits. */
        @WithDefault("50ms")
        Duration chunkLinger();

        /** The most text in a chunk, in characters. */
        @WithDefault("256")
        int chunkMaxChars();

        /** none, gzip or lz4: for the events, and for the topic if Penstock creates it. */
        @WithDefault("lz4")
        String compression();
    }

    /** Where Penstock keeps the outcome of each job. */
    interface LedgerConfig {
        /** sqlite (one replica, no set-up), postgresql (any number of replicas) or none (no polling). */
        @WithDefault("sqlite")
        String kind();

        /** How long clients can read a job after its outcome. */
        @WithDefault("24h")
        Duration retention();

        /** The file of sqlite. Penstock creates its folder. */
        @WithDefault("data/penstock.db")
        String path();

        /** The address of postgresql: jdbc:postgresql://host:5432/database. */
        Optional<String> url();

        Optional<String> username();

        Optional<String> password();
    }

    /** Who may call. */
    interface AuthConfig {
        /** none must be explicit. If the mode is not set, the API listens on loopback only. */
        Optional<String> mode();

        /** The prefix of the variables that nodes added at run time may refer to, as env:NAME. */
        @WithDefault(Secrets.DEFAULT_PREFIX)
        String secretPrefix();

        /** The folder of the files that such nodes may refer to, as file:/path. Default: no files are allowed. */
        Optional<Path> secretDir();

        /** Where such a key may be sent: for each variable or file name, a list of host or host:port. */
        Map<String, Set<String>> secretHosts();
    }

    /** What Penstock requires of the broker. */
    interface KafkaConfig {
        /** false: the topics must exist already. */
        @WithDefault("true")
        boolean createTopics();

        /** The largest record, in bytes, for topics, producers, fetches and REST. */
        @WithDefault("8388608")
        int maxRecord();
    }

    /** The names of Penstock's own topics. */
    interface TopicsConfig {
        @WithDefault("prompt-jobs-high")
        String jobsHigh();

        @WithDefault("prompt-jobs")
        String jobs();

        @WithDefault("prompt-jobs-low")
        String jobsLow();

        @WithDefault("prompt-jobs-deferred")
        String deferred();

        @WithDefault("prompt-replies")
        String replies();

        @WithDefault("prompt-commands")
        String commands();

        @WithDefault("prompt-jobs-dlq")
        String dlq();

        @WithDefault("penstock-settings")
        String settings();
    }

    /** Whether this configuration is final. */
    interface ChangesConfig {
        /** false: REST calls can neither add nor remove nodes. */
        @WithDefault("true")
        boolean runtimeChanges();
    }

    /** How a replica stops. */
    interface DrainConfig {
        /** How long running jobs may continue. */
        @WithDefault("60s")
        Duration timeout();
    }

    /** The limits of API calls per replica. */
    interface ApiConfig {
        /** Further names in the Host header of calls, as host or host:port. The names of loopback are always valid. */
        Optional<Set<String>> allowedHosts();

        /** Jobs in one call of JSON lines. The lines after them are not read. */
        @WithDefault("10000")
        int maxLines();

        /** From the connection, or the first byte of a request, to the end of its headers. */
        @WithDefault("10s")
        Duration headerTimeout();

        /** How long a request's body may take in total, with all pauses. */
        @WithDefault("1m")
        Duration bodyTimeout();

        /** How long a connection may stay open between two requests. */
        @WithDefault("5m")
        Duration idleTimeout();

        /** How long an answer may wait while its caller reads nothing. */
        @WithDefault("1m")
        Duration answerTimeout();

        /** Event streams that are open at once. */
        @WithDefault("1000")
        int maxStreams();

        /** Unread events of one stream, in bytes. */
        @WithDefault("256K")
        MemorySize maxStreamBytes();

        /** Unread events of all streams, in bytes. Default: a sixteenth of the largest heap. */
        Optional<MemorySize> maxStreamsBytes();
    }

    /** What a model server may send. */
    interface AnswersConfig {
        /** The size of one answer on the wire. Default: a sixteenth of the largest heap, 64M at most. */
        Optional<MemorySize> maxBytes();

        /** The size of one line or event of an answer. */
        @WithDefault("16M")
        MemorySize maxLine();

        /** The size of a list of models, or of another answer about the server itself. */
        @WithDefault("4M")
        MemorySize maxListing();

        /** The size of the document that answers one request for embeddings. */
        @WithDefault("32M")
        MemorySize maxEmbeddings();

        /** The total size of the progress messages of one pull or load of a model. */
        @WithDefault("256M")
        MemorySize maxPull();
    }
}
