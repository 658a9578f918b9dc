package dev.penstock.node;

import java.util.List;

/**
 * OpenAI itself: it refuses fields that it does not know, so that only its own are sent; without modalities and audio,
 * since what is spoken in a stream is not read.
 */
final class OpenAiCloudProtocol extends OpenAiProtocol {
    static final List<String> OWN = List.of(
            "user",
            "reasoning_effort",
            "verbosity",
            "prediction",
            "store",
            "service_tier",
            "web_search_options",
            "safety_identifier",
            "prompt_cache_key",
            "prompt_cache_retention");

    @Override
    void own(Translation translation, Prompt prompt, boolean chat) {
        if (chat) {
            translation.passAll(OWN);
        } else {
            translation.pass("user", "user");
        }
        // its newer models refuse max_tokens in a chat
        translation.pass(chat ? "max_completion_tokens" : "max_tokens", "max_completion_tokens", "max_tokens");
    }

    @Override
    boolean completesInChat(String model) {
        return !knowsCompletions(model);
    }

    /** Only the oldest models have /v1/completions. */
    static boolean knowsCompletions(String model) {
        return model.contains("instruct") || model.startsWith("davinci") || model.startsWith("babbage");
    }
}
