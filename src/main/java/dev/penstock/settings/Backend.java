package dev.penstock.settings;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;

/** The kinds of model servers. */
public enum Backend {
    VLLM("vllm", "gpu", 64),
    OLLAMA("ollama", "cpu", 1),
    OPENAI("openai", "cloud", 16),
    AZURE_OPENAI("azure-openai", "cloud", 16),
    ANTHROPIC("anthropic", "cloud", 16),
    LM_STUDIO("lm-studio", "cpu", 16),
    LLAMA_SERVER("llama-server", "cpu", 16),
    /** A program, not a server: Penstock starts a process for each request. */
    LLAMA_CLI("llama-cli", "cpu", 1),
    OPENAI_COMPATIBLE("openai-compatible", "cpu", 16);

    private final String wireName;
    private final String defaultPool;
    private final int defaultMaxInFlight;

    Backend(String wireName, String defaultPool, int defaultMaxInFlight) {
        this.wireName = wireName;
        this.defaultPool = defaultPool;
        this.defaultMaxInFlight = defaultMaxInFlight;
    }

    /** Returns the name in the configuration, in events and in metrics. */
    public String wireName() {
        return wireName;
    }

    public String defaultPool() {
        return defaultPool;
    }

    /**
     * Returns the default for the maximum number of requests at once. If a llama-server reports its total_slots, that
     * number takes precedence.
     */
    public int defaultMaxInFlight() {
        return defaultMaxInFlight;
    }

    /** Returns whether servers of this kind list their models. If not, any name may be one of their models. */
    public boolean listsModels() {
        return this != AZURE_OPENAI;
    }

    /**
     * Returns whether servers of this kind make their model follow the schema in {@code response_format}. It is not known
     * of other servers with OpenAI's API.
     */
    public boolean enforcesSchema() {
        return this != OPENAI_COMPATIBLE;
    }

    public static Optional<Backend> of(String wireName) {
        return Arrays.stream(values())
                .filter(backend -> backend.wireName.equals(wireName))
                .findFirst();
    }

    public static String all() {
        return Arrays.stream(values()).map(Backend::wireName).collect(Collectors.joining(", "));
    }
}
