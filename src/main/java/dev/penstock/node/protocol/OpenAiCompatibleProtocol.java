package dev.penstock.node.protocol;

import java.util.List;

/**
 * The protocol of other servers with OpenAI's API: llama-cpp-python, mistral.rs, transformers serve, TGI, SGLang.
 * Penstock cannot find out which fields such a server knows. So Penstock passes all fields of the job unchanged. It
 * adds only those defaults that all of these servers accept.
 */
final class OpenAiCompatibleProtocol extends OpenAiProtocol {

    @Override
    void tools(Translation translation) {
        translation.passAll(List.of("tools", "tool_choice"));
    }

    @Override
    Comparing compares() {
        return Comparing.ONE_WITH_MANY;
    }

    @Override
    void scores(Translation translation) {
        translation.passRest();
    }

    @Override
    void own(Translation translation, Prompt prompt, boolean chat) {
        if (prompt.asked().get("response_format") == null) {
            translation.drop("response_format");
        }
        translation.passLimit(chat).passRest();
    }
}
