package dev.penstock.node.protocol;

import java.util.List;

/**
 * The protocol of OpenAI itself. The API refuses unknown fields, so Penstock sends only fields that the API knows. It
 * leaves out modalities and audio, because Penstock does not read spoken answers.
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
            withoutForeignFields(translation);
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

    /** Returns whether the model has /v1/completions. Only the oldest models have it. */
    static boolean knowsCompletions(String model) {
        return model.contains("instruct") || model.startsWith("davinci") || model.startsWith("babbage");
    }
}
