package dev.penstock.settings;

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

/** The keys under {@code penstock}, as a user writes them; {@link Settings} checks them. */
@ConfigMapping(prefix = "penstock")
public interface PenstockConfig {
    /** The model servers, by name. */
    Map<String, NodeConfig> nodes();

    /**
     * How long a node that was never up may turn out to have any model. After that jobs for a model that no other node has fail
     * with {@code model_not_found}.
     */
    @WithName("nodes.unknown-for")
    @WithDefault("5m")
    Duration unknownFor();

    /** Aliases for models: a model for each backend. */
    Map<String, Map<String, String>> profiles();

    /** The profile of a job that names no model. */
    Optional<String> defaultProfile();

    /** Parameters of every request that says nothing else; a value that is JSON counts as JSON. */
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

    /** Stands before the name of every consumer group: two installations on one Kafka have different ones. */
    Optional<String> groupsPrefix();

    DrainConfig drain();

    ChangesConfig config();

    ApiConfig api();

    AnswersConfig answers();

    /** One model server. */
    interface NodeConfig {
        /** vllm, ollama, openai, azure-openai, anthropic, lm-studio, llama-server, llama-cli or openai-compatible. */
        String backend();

        /** With or without {@code /v1}; none where Penstock starts the program itself. */
        Optional<String> url();

        /** Default: gpu for vllm, cloud for openai, azure-openai and anthropic, else cpu. */
        Optional<String> pool();

        /** Requests at once; default: vllm 64, llama-server its total_slots, ollama and llama-cli 1, others 16. */
        Optional<Integer> maxInFlight();

        /** Of a pool's jobs, beside other nodes; routes by weight are for a later version, and until then it changes nothing. */
        @WithDefault("1")
        int weight();

        /** The only model to use here; default: what the server lists. */
        Optional<String> model();

        /** Sent in the header that the backend wants it in. */
        Optional<String> apiKey();

        /** Further request headers. */
        Map<String, String> headers();

        /** Added to each request, over what the job says; a value that is JSON counts as JSON. */
        Map<String, String> extraBody();

        /** Over those of the whole service. */
        Map<String, String> parameters();

        NodeTimeoutsConfig timeouts();

        /** Of azure-openai: the api-version. */
        Optional<String> apiVersion();

        /** Inputs of one embeddings request; more are sent as several. */
        Optional<Integer> embeddingBatch();

        /** missing: a model that a job names and no node has is fetched here; never (default). */
        @WithDefault("never")
        String pull();

        /** Of llama-server and llama-cli: the program that Penstock starts; default: the one on the PATH. */
        Optional<String> command();

        /** The file of its model; of llama-cli a folder of them too. With it Penstock starts the program. */
        Optional<Path> modelPath();

        Optional<Integer> ctxSize();

        Optional<Integer> batchSize();

        Optional<Integer> ubatchSize();

        /** A number, auto or all. */
        Optional<String> gpuLayers();

        /** The file of its projector, for images. */
        Optional<Path> mmproj();

        /** Further ones of the program, as they are. */
        Optional<List<String>> arguments();
    }

    /** How long this node may take; where nothing is said, what holds for all. */
    interface NodeTimeoutsConfig {
        Optional<Duration> connect();

        Optional<Duration> firstToken();

        Optional<Duration> idle();
    }

    /** What Penstock fetches for a job. */
    interface ImagesConfig {
        /** Hosts whose images, audio, video and files a job may name by URL; host:port for a port of its own. */
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

    /** Attempts that a node failed. */
    interface RetriesConfig {
        @WithDefault("3")
        int maxAttempts();

        /** Before the second attempt at the same node; doubles with each further one. */
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

        /** Fields that reach into a model server, and that jobs may name all the same. */
        Optional<Set<String>> allowedFields();
    }

    /** How jobs are taken. */
    interface IntakeConfig {
        /** false: this replica serves the API only. */
        @WithDefault("true")
        boolean enabled();

        /** share (Kafka 4.3), classic (any broker) or auto: whichever is in use, else what the broker can do. */
        @WithDefault("auto")
        String mode();

        /** Jobs that run at once in this replica. */
        @WithDefault("64")
        int slots();

        /** Consumers per topic; docs/kafka.md has the measurement behind the default. */
        @WithDefault("16")
        int consumers();

        /** Records in one consumer's hand; consumers × batch = slots × partitions. Default: computed. */
        Optional<Integer> batch();

        /** Of records in this replica's hand; beyond it takes no more. Default: a sixteenth of the largest heap. */
        Optional<MemorySize> maxBytes();

        /** How long a job keeps its place here while all its nodes are down, before it is set aside. */
        @WithDefault("5s")
        Duration park();

        /** Of the starts, what low jobs get at least while any wait. */
        @WithDefault("0.1")
        double lowShare();

        /** The job topics; default: one for each priority, named under {@code penstock.topics}. */
        Optional<List<IntakeTopicConfig>> topics();
    }

    /** A job topic. */
    interface IntakeTopicConfig {
        String name();

        @WithDefault("normal")
        String priority();

        /** Whose jobs they are. */
        @WithDefault("default")
        String tenant();

        /** How many of a replica's slots its jobs hold at most; default: all. */
        Optional<Integer> slots();
    }

    /** How answers are batched onto the reply topic. */
    interface RepliesConfig {
        /** How long text may wait for more; the first chunk never waits. */
        @WithDefault("50ms")
        Duration chunkLinger();

        /** How much text makes a chunk at the latest. */
        @WithDefault("256")
        int chunkMaxChars();

        /** none, gzip or lz4: of the events, and of the topic where Penstock makes it. */
        @WithDefault("lz4")
        String compression();
    }

    /** Where is kept what became of each job. */
    interface LedgerConfig {
        /** sqlite (one replica, no set-up), postgresql (any number) or none (nothing can be polled). */
        @WithDefault("sqlite")
        String kind();

        /** How long a job can be read after its outcome. */
        @WithDefault("24h")
        Duration retention();

        /** The file of sqlite; its folder is made. */
        @WithDefault("data/penstock.db")
        String path();

        /** Of postgresql: jdbc:postgresql://host:5432/database. */
        Optional<String> url();

        Optional<String> username();

        Optional<String> password();
    }

    /** Who may call. */
    interface AuthConfig {
        /** none must be said; where it is not, the API binds to loopback only. */
        Optional<String> mode();

        /** Variables whose names begin with it may be referred to by nodes that are added at run time, as env:NAME. */
        @WithDefault(Secrets.DEFAULT_PREFIX)
        String secretPrefix();

        /** The folder of the files that such nodes may refer to, as file:/path; default: none may be. */
        Optional<Path> secretDir();

        /** Where such a key may be sent: by the name of the variable or of the file, host or host:port. */
        Map<String, Set<String>> secretHosts();
    }

    /** What Penstock asks of the broker. */
    interface KafkaConfig {
        /** false: the topics must be there already. */
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

    /** Whether this configuration is the last word. */
    interface ChangesConfig {
        /** false: nodes are neither added nor removed over REST. */
        @WithDefault("true")
        boolean runtimeChanges();
    }

    /** How a replica stops. */
    interface DrainConfig {
        /** How long running jobs may go on. */
        @WithDefault("60s")
        Duration timeout();
    }

    /** What callers of the API may take of a replica. */
    interface ApiConfig {
        /** Names in the Host of calls, host or host:port, beside those of loopback. */
        Optional<Set<String>> allowedHosts();

        /** Jobs in one call of JSON lines; the lines after them are not read. */
        @WithDefault("10000")
        int maxLines();

        /** From a connection, or the first byte of a request, to the end of its headers. */
        @WithDefault("10s")
        Duration headerTimeout();

        /** How long a caller may let the service wait for a request's body, all its pauses together. */
        @WithDefault("1m")
        Duration bodyTimeout();

        /** How long a connection may stay open between two requests. */
        @WithDefault("5m")
        Duration idleTimeout();

        /** How long a caller may take nothing of an answer that waits for it. */
        @WithDefault("1m")
        Duration answerTimeout();

        /** Event streams that are open at once. */
        @WithDefault("1000")
        int maxStreams();

        /** Events of one stream that its caller has not read yet. */
        @WithDefault("256K")
        MemorySize maxStreamBytes();

        /** Events of all streams that their callers have not read yet. Default: a sixteenth of the largest heap. */
        Optional<MemorySize> maxStreamsBytes();
    }

    /** What a model server may send. */
    interface AnswersConfig {
        /** Of one answer, as it is sent. Default: a sixteenth of the largest heap, 64M at most. */
        Optional<MemorySize> maxBytes();

        /** Of one line or event of an answer. */
        @WithDefault("16M")
        MemorySize maxLine();

        /** Of a list of models, or of another answer about the server itself. */
        @WithDefault("4M")
        MemorySize maxListing();

        /** Of the document that answers one request for embeddings. */
        @WithDefault("32M")
        MemorySize maxEmbeddings();

        /** Of all that is told of one pull or load of a model. */
        @WithDefault("256M")
        MemorySize maxPull();
    }
}
