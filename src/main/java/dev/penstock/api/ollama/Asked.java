package dev.penstock.api.ollama;

import com.fasterxml.jackson.databind.node.ObjectNode;

/** What a request to Ollama's API asks for. */
sealed interface Asked {
    /** @param body the body of a direct call, in OpenAI's shape */
    record Call(ObjectNode body) implements Asked {}

    /**
     * The request has no prompt or no input, so no model has to run.
     *
     * @param reason the done_reason of the answer: load or unload; embeddings do not show it
     */
    record NoPrompt(String reason) implements Asked {}
}
