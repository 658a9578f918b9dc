package dev.penstock.settings;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;

/** The kinds of model server. */
public enum Backend {
    VLLM("vllm", "gpu", 64),
    OLLAMA("ollama", "cpu", 1),
    OPENAI("openai", "cloud", 16),
    AZURE_OPENAI("azure-openai", "cloud", 16),
    ANTHROPIC("anthropic", "cloud", 16),
    LM_STUDIO("lm-studio", "cpu", 16),
    LLAMA_SERVER("llama-server", "cpu", 16),
    /** No server: a process for each request. */
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

    /** The name in configuration, events and metrics. */
    public String wireName() {
        return wireName;
    }

    public String defaultPool() {
        return defaultPool;
    }

    /** Requests at once where nothing says otherwise; a llama-server's own total_slots comes before it. */
    public int defaultMaxInFlight() {
        return defaultMaxInFlight;
    }

    /** Whether such a server can say what it serves; else any name may be one of its models. */
    public boolean listsModels() {
        return this != AZURE_OPENAI;
    }

    public static Optional<Backend> of(String wireName) {
        return Arrays.stream(values())
                .filter(backend -> backend.wireName.equals(wireName))
                .findFirst();
    }

    static String all() {
        return Arrays.stream(values()).map(Backend::wireName).collect(Collectors.joining(", "));
    }
}
