package dev.penstock.node.protocol;

import java.util.List;

/**
 * The protocol of OpenAI itself. It refuses unknown fields, so Penstock sends only the known ones. Modalities and
 * audio are left out, because Penstock does not read spoken answers.
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
        // newer models refuse max_tokens in a chat
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
