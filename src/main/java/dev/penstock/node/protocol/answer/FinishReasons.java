package dev.penstock.node.protocol.answer;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Translates a server's finish reason for a complete choice into OpenAI's terms. All other reasons mean that the
 * choice is not complete, such as abort from vLLM and SGLang, canceled from mistral.rs, insufficient_system_resource
 * from DeepSeek and pause_turn from Anthropic.
 */
final class FinishReasons {
    private static final Map<String, String> WHOLE = whole();

    private FinishReasons() {}

    /**
     * Returns OpenAI's reasons by the servers' reasons, in upper and lower case. For example, eos_token comes from TGI,
     * model_length from Mistral's API, and MAX_TOKENS from Google and Cohere.
     */
    private static Map<String, String> whole() {
        Map<String, List<String>> reasons = Map.of(
                "stop",
                List.of(
                        "stop",
                        "stopped",
                        "stop_sequence",
                        "stop_token",
                        "stop_str",
                        "end_turn",
                        "end_of_turn",
                        "end",
                        "eos",
                        "eos_token",
                        "eos_found",
                        "endoftext",
                        "complete",
                        "completed",
                        "finish",
                        "finished"),
                "length",
                List.of(
                        "length",
                        "max_tokens",
                        "max_new_tokens",
                        "max_output_tokens",
                        "max_completion_tokens",
                        "max_length",
                        "model_length",
                        "context_length",
                        "token_limit",
                        "model_context_window_exceeded"),
                "tool_calls",
                List.of("tool_calls", "tool_call", "tool_use", "function_call", "function_calls"),
                "content_filter",
                List.of(
                        "content_filter",
                        "content_filtered",
                        "safety",
                        "recitation",
                        "blocklist",
                        "prohibited_content",
                        "spii",
                        "sensitive",
                        "refusal",
                        "guardrail_intervened",
                        "error_toxic"));
        Map<String, String> whole = new HashMap<>();
        reasons.forEach((reason, words) -> words.forEach(word -> whole.put(word, reason)));
        return Map.copyOf(whole);
    }

    /** @return OpenAI's reason; null if the choice is not complete */
    static @Nullable String openAi(String reason) {
        return WHOLE.get(reason.strip().toLowerCase(Locale.ROOT));
    }
}
