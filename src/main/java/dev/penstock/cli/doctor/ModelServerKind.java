package dev.penstock.cli.doctor;

import java.util.List;

/** The usual model servers on personal machines. */
enum ModelServerKind {
    OLLAMA(
            "Ollama",
            "ollama",
            11434,
            "serve",
            "https://ollama.com/download",
            "/usr/local/bin",
            "/opt/homebrew/bin",
            "/Applications/Ollama.app/Contents/Resources",
            "~/.local/bin",
            "~/AppData/Local/Programs/Ollama"),
    VLLM(
            "vLLM",
            "vllm",
            8000,
            "serve MODEL --port 8000",
            "pip install vllm",
            "~/.local/bin",
            "~/.venv/bin",
            "~/venv/bin",
            "~/vllm/.venv/bin",
            "/opt/venv/bin",
            "/opt/vllm/bin"),
    LM_STUDIO(
            "LM Studio",
            "lms",
            1234,
            "server start --port 1234",
            "https://lmstudio.ai/download",
            "~/.lmstudio/bin",
            "~/.cache/lm-studio/bin"),
    LLAMA_SERVER(
            "llama-server",
            "llama-server",
            8081,
            "-m MODEL.gguf --port 8081",
            "https://github.com/ggml-org/llama.cpp/releases",
            "/usr/local/bin",
            "/opt/homebrew/bin",
            "~/.local/bin",
            "~/llama.cpp/build/bin",
            "/opt/llama.cpp/build/bin",
            "/app");

    private final String label;
    private final String program;
    private final int port;
    private final String arguments;
    private final String toGet;
    private final String places;

    ModelServerKind(String label, String program, int port, String arguments, String toGet, String... places) {
        this.label = label;
        this.program = program;
        this.port = port;
        this.arguments = arguments;
        this.toGet = toGet;
        this.places = String.join("|", places);
    }

    String label() {
        return label;
    }

    /** Returns the name of the server's program. */
    String program() {
        return program;
    }

    /** Returns the port that Penstock probes by default. */
    int port() {
        return port;
    }

    /** Returns the command that starts the server. */
    String command(String installedAt) {
        return installedAt + " " + arguments;
    }

    /** Returns instructions for installing the server. */
    String toGet() {
        return toGet;
    }

    /** Returns folders outside of PATH in which the program is often installed; ~ is the user's home. */
    List<String> places() {
        return List.of(places.split("\\|", -1));
    }
}
