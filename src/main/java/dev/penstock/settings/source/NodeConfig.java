package dev.penstock.settings.source;

import io.smallrye.config.WithDefault;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** One model server. */
public interface NodeConfig {
    /** vllm, ollama, openai, azure-openai, anthropic, lm-studio, llama-server, llama-cli or openai-compatible. */
    String backend();

    /** With or without {@code /v1}. Omit it if Penstock starts the program itself. */
    Optional<String> url();

    /** Default: gpu for vllm, cloud for openai, azure-openai and anthropic, else cpu. */
    Optional<String> pool();

    /** Requests at once. Default: vllm 64, llama-server its total_slots, ollama and llama-cli 1, others 16. */
    Optional<Integer> maxInFlight();

    /**
     * The share of a pool's jobs, relative to other nodes. It has no effect yet: routes by weight come in a later
     * version.
     */
    @WithDefault("1")
    int weight();

    /** The only model to use here. Default: all that the server lists. */
    Optional<String> model();

    /** Sent in the header that the backend expects. */
    Optional<String> apiKey();

    /** Further request headers. */
    Map<String, String> headers();

    /** Added to each request; it overrides the job. A value that is JSON counts as JSON. */
    Map<String, String> extraBody();

    /** These override the parameters of the whole service. */
    Map<String, String> parameters();

    NodeTimeoutsConfig timeouts();

    /** The api-version of azure-openai. */
    Optional<String> apiVersion();

    /** Inputs of one embeddings request. More inputs go out as several requests. */
    Optional<Integer> embeddingBatch();

    /** missing: this node fetches a model that a job names and no node has; never (default): it does not. */
    @WithDefault("never")
    String pull();

    /** The program that Penstock starts for llama-server and llama-cli. Default: the one on the PATH. */
    Optional<String> command();

    /** The file of its model; for llama-cli also a folder of models. If it is set, Penstock starts the program. */
    Optional<Path> modelPath();

    Optional<Integer> ctxSize();

    Optional<Integer> batchSize();

    Optional<Integer> ubatchSize();

    /** A number, auto or all. */
    Optional<String> gpuLayers();

    /** The file of its projector, for images. */
    Optional<Path> mmproj();

    /** Further arguments of the program, unchanged. */
    Optional<List<String>> arguments();

    /** The timeouts of this node. The service's timeouts are the default. */
    interface NodeTimeoutsConfig {
        Optional<Duration> connect();

        Optional<Duration> firstToken();

        Optional<Duration> idle();
    }
}
