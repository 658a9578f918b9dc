package dev.penstock.settings.source;

import io.smallrye.config.WithDefault;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** One model server. */
public interface NodeConfig {
    /**
     * The backend: vllm, ollama, openai, azure-openai, anthropic, lm-studio, llama-server, llama-cli or
     * openai-compatible.
     */
    String backend();

    /** The address, with or without {@code /v1}. Omit it if Penstock starts the program itself. */
    Optional<String> url();

    /** The pool. Default: gpu for vllm; cloud for openai, azure-openai and anthropic; cpu for the other backends. */
    Optional<String> pool();

    /**
     * The maximum number of requests at once. Default: 64 for vllm, its total_slots for llama-server, 1 for ollama and
     * llama-cli, 16 for the other backends.
     */
    Optional<Integer> maxInFlight();

    /** The smallest number of requests at once of an adaptive limit. Default: 1. */
    Optional<Integer> minInFlight();

    /**
     * Whether the number of requests at once follows the time to the first token. It is then between min-in-flight and
     * max-in-flight.
     */
    @WithDefault("false")
    boolean adaptive();

    /** The maximum number of requests that begin in a minute. Default: no limit. */
    Optional<Integer> requestsPerMinute();

    /** The maximum number of tokens, of prompts and answers, in a minute. Default: no limit. */
    Optional<Integer> tokensPerMinute();

    /** The node's part of the jobs of rules with {@code balance: weighted}, relative to other nodes. */
    @WithDefault("1")
    int weight();

    /** The only model to use at this node. Default: all models that the server lists. */
    Optional<String> model();

    /** The API key. Penstock sends it in the header that the backend expects. */
    Optional<String> apiKey();

    /** Further request headers. */
    Map<String, String> headers();

    /** Further fields of each request; they override the job's fields. A value that is JSON is used as JSON. */
    Map<String, String> extraBody();

    /** Parameters for jobs that do not set them. They override the parameters of the whole service. */
    Map<String, String> parameters();

    NodeTimeoutsConfig timeouts();

    /** The API version of azure-openai. */
    Optional<String> apiVersion();

    /** The maximum number of inputs of one embeddings request. More inputs are sent as several requests. */
    Optional<Integer> embeddingBatch();

    /**
     * If the value is {@code missing}, this node fetches a model that a job names and no node has. If it is {@code
     * never}, the node fetches no model.
     */
    @WithDefault("never")
    String pull();

    /**
     * The program that Penstock starts for llama-server and llama-cli. Default: the program with that name on the PATH.
     */
    Optional<String> command();

    /**
     * The file of the program's model; for llama-cli also a folder of models. If it is set, Penstock starts the
     * program.
     */
    Optional<Path> modelPath();

    Optional<Integer> ctxSize();

    Optional<Integer> batchSize();

    Optional<Integer> ubatchSize();

    /** The number of model layers on the GPU: a number, auto or all. */
    Optional<String> gpuLayers();

    /** The file of the model's projector, for images. */
    Optional<Path> mmproj();

    /** Further arguments of the program, unchanged. */
    Optional<List<String>> arguments();

    /** The timeouts of this node. The defaults are the service's timeouts. */
    interface NodeTimeoutsConfig {
        Optional<Duration> connect();

        Optional<Duration> firstToken();

        Optional<Duration> idle();
    }
}
