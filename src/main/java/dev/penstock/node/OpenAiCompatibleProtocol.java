package dev.penstock.node;

import java.util.List;

/**
 * Whatever else speaks OpenAI's API: llama-cpp-python, mistral.rs, transformers serve, TGI, SGLang. What such a server
 * knows cannot be told from outside, so the job's fields go to it as they are, and of the defaults only those that all
 * of them take.
 */
final class OpenAiCompatibleProtocol extends OpenAiProtocol {

    @Override
    void tools(Translation translation) {
        translation.passAll(List.of("tools", "tool_choice"));
    }

    @Override
    void own(Translation translation, Prompt prompt, boolean chat) {
        if (prompt.asked().get("response_format") == null) {
            translation.drop("response_format");
        }
        translation.passLimit(chat).passRest();
    }
}
