package dev.penstock.node;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Why a choice is whole, in OpenAI's words. A server that says anything else (abort of vLLM and SGLang, canceled of mistral.rs,
 * insufficient_system_resource of DeepSeek) has not finished it.
 */
final class FinishReasons {
    /** By what servers say; eos_token and stop_sequence of TGI, model_length of Mistral's API. */
    private static final Map<String, String> WHOLE = Map.of(
            "stop", "stop",
            "length", "length",
            "tool_calls", "tool_calls",
            "function_call", "function_call",
            "content_filter", "content_filter",
            "eos_token", "stop",
            "stop_sequence", "stop",
            "model_length", "length");

    private FinishReasons() {}

    /** @return null: the choice is not whole */
    static @Nullable String openAi(String said) {
        return WHOLE.get(said);
    }
}
