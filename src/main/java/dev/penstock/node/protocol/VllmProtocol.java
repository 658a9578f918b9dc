package dev.penstock.node.protocol;

import dev.penstock.node.signals.SignalSource;
import java.util.List;
import java.util.Optional;

/** The protocol of vLLM (observed with 0.32.0). */
final class VllmProtocol extends OpenAiProtocol {
    private static final List<String> OWN = List.of(
            "user",
            "top_k",
            "min_p",
            "min_tokens",
            "ignore_eos",
            "stop_token_ids",
            "include_stop_str_in_output",
            "bad_words",
            "allowed_token_ids",
            "length_penalty",
            "skip_special_tokens",
            "spaces_between_special_tokens",
            "structured_outputs",
            "reasoning_effort",
            "include_reasoning",
            "return_token_ids",
            "prompt_logprobs",
            "truncate_prompt_tokens",
            "documents");

    private static final List<String> WHERE_ALLOWED = List.of(
            "cache_salt",
            "priority",
            "request_id",
            "kv_transfer_params",
            "ec_transfer_params",
            "chat_template",
            "chat_template_kwargs",
            "add_generation_prompt",
            "continue_final_message",
            "mm_processor_kwargs",
            "media_io_kwargs",
            "vllm_xargs");

    @Override
    void own(Translation translation, Prompt prompt, boolean chat) {
        translation
                .passLimit(chat)
                .passAll(OWN)
                .passAll(WHERE_ALLOWED)
                .pass("repetition_penalty", "repetition_penalty", "repeat_penalty");
        if (!chat) {
            translation.pass("response_format", "response_format");
        }
    }

    /** Leaves out best_of, because the server ignores it. */
    @Override
    List<String> ofCompletions() {
        return List.of("suffix", "echo");
    }

    @Override
    void embeddings(Translation translation) {
        super.embeddings(translation);
        translation.passAll(List.of("truncate_prompt_tokens", "priority", "request_id", "cache_salt"));
    }

    @Override
    Comparing compares() {
        return Comparing.ANY_PAIRS;
    }

    @Override
    void scores(Translation translation) {
        translation.passAll(List.of(
                "truncate_prompt_tokens", "use_activation", "user", "priority", "request_id", "mm_processor_kwargs"));
    }

    @Override
    public Optional<Request> count(Prompt prompt) throws Unsupported {
        return Optional.of(AnthropicRequest.count(prompt));
    }

    /**
     * vLLM continues the last message with {@code continue_final_message: true} and {@code add_generation_prompt:
     * false}, and sends only the rest (observed with 0.32.0; its recorded answers have no repetition without {@code
     * echo}). With temperature 0, the rest is equal to the rest of the uninterrupted text.
     */
    @Override
    Continues chatContinues() {
        return Continues.SENDS_THE_REST;
    }

    @Override
    public List<SignalSource> signalSources() {
        return List.of(SignalSource.VLLM_METRICS);
    }

    @Override
    public String startCommand() {
        return "vllm serve MODEL";
    }

    @Override
    public String getModel(String model) {
        return "vllm serve " + model;
    }
}
