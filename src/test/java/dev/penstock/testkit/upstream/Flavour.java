package dev.penstock.testkit.upstream;

/** The server that the OpenAI-compatible paths of a {@link FakeUpstream} imitate. */
public enum Flavour {
    /** 0.32.0: headers at once, {@code /version}. */
    VLLM,
    /** llama.cpp 0.7.0: headers with the first token, {@code /props}. */
    LLAMA_SERVER
}
