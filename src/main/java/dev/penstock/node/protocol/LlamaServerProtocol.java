package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.signals.SignalSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The protocol of llama-server (observed with llama.cpp 0.7.0). */
public final class LlamaServerProtocol extends OpenAiProtocol {
    private static final List<String> OWN = List.of(
            "top_k",
            "min_p",
            "typical_p",
            "top_n_sigma",
            "repeat_last_n",
            "mirostat",
            "mirostat_tau",
            "mirostat_eta",
            "dynatemp_range",
            "dynatemp_exponent",
            "xtc_probability",
            "xtc_threshold",
            "dry_multiplier",
            "dry_base",
            "dry_allowed_length",
            "dry_penalty_last_n",
            "dry_sequence_breakers",
            "samplers",
            "min_keep",
            "ignore_eos",
            "n_keep",
            "n_probs",
            "grammar",
            "json_schema",
            "reasoning_format",
            "thinking_budget_tokens");

    private static final List<String> WHERE_ALLOWED =
            List.of("id_slot", "n_cache_reuse", "lora", "chat_template", "add_generation_prompt");

    /** The states of a model that needs no load. A sleeping model wakes up for its next request. */
    private static final Set<String> LOADED = Set.of("loaded", "sleeping");

    @Override
    void own(Translation translation, Prompt prompt, boolean chat) {
        translation
                .passLimit(chat)
                .passAll(OWN)
                .passAll(WHERE_ALLOWED)
                .pass("repeat_penalty", "repetition_penalty", "repeat_penalty")
                .pass("cache_prompt", "cache_prompt")
                .pass("chat_template_kwargs", "chat_template_kwargs");
        Object effort = chat ? translation.take("reasoning_effort") : null;
        if ("none".equals(effort)) {
            // only the server's own field can turn thinking off; the template's field sets only the degree of thinking
            translation.put("reasoning_effort", effort);
        } else if (effort != null) {
            translation.put(
                    "chat_template_kwargs", with(translation.take("chat_template_kwargs"), "reasoning_effort", effort));
        }
        if (chat && effort == null && translation.take("thinking") instanceof Map<?, ?> thinking) {
            translation.put("reasoning_effort", "disabled".equals(thinking.get("type")) ? "none" : null);
            if (!translation.asks("thinking_budget_tokens")) {
                translation.put("thinking_budget_tokens", thinking.get("budget_tokens"));
            }
        }
        if (prompt.hasMedia()) {
            // turned off, because a slot's cache compares images by their position, and not by their content
            translation.put("cache_prompt", false);
        }
        Object schema = chat ? null : translation.answerSchema();
        if (schema != null) {
            translation.put("json_schema", schema);
        }
    }

    /**
     * Returns a parser that adds up the usage of all choices, because the server reports the usage of each choice
     * separately.
     */
    @Override
    public AnswerParser parser(Prompt prompt) {
        AnswerParser parser = super.parser(prompt);
        return prompt.task().answersInText() ? new SummedUsage(parser) : parser;
    }

    /** Translates tool_choice into a word, because the server ignores an object. */
    @Override
    void tools(Translation translation) throws Unsupported {
        Tools.of(translation).inWordsInto(translation);
    }

    /** Returns no fields, because the server refuses suffix, echo and best_of. */
    @Override
    List<String> ofCompletions() {
        return List.of();
    }

    /** Leaves out {@code dimensions}, because the server always returns as many dimensions as its model has. */
    @Override
    void embeddings(Translation translation) {
        translation.pass("encoding_format", "encoding_format");
    }

    /** The server ranks documents if it was started with {@code --reranking} and a model for it. It answers 501 otherwise. */
    @Override
    Comparing compares() {
        return Comparing.ONE_WITH_MANY;
    }

    /**
     * Returns whether a listed model is loaded. A router also lists the models that it could load, each with its
     * status.
     */
    @Override
    boolean isLoaded(JsonNode model) {
        JsonNode status = model.path("status");
        return status.isMissingNode() || isLoadedStatus(status);
    }

    /** Returns whether this status in a router's list is the status of a loaded model. */
    public static boolean isLoadedStatus(JsonNode status) {
        return LOADED.contains(status.path("value").asText());
    }

    @Override
    public List<String> furtherPaths() {
        return List.of("/props");
    }

    @Override
    public int totalSlots(List<@Nullable JsonNode> further) {
        JsonNode props = further.getFirst();
        return props == null ? 0 : props.path("total_slots").asInt(0);
    }

    @Override
    public Optional<Request> count(Prompt prompt) throws Unsupported {
        return Optional.of(AnthropicRequest.count(prompt));
    }

    /**
     * llama-server continues a last message of the assistant (llama.cpp, pull request 13174). The two flags of vLLM ask
     * for it even if the server runs with {@code --no-prefill-assistant} (pull request 23012); older servers ignore
     * them. A stream has only the rest, unless the request says {@code echo} (pull request 23089, observed with 0.7.0).
     * Versions before that pull request may send the text once more.
     */
    @Override
    Continues chatContinues() {
        return Continues.MAY_REPEAT;
    }

    @Override
    public List<SignalSource> signalSources() {
        return List.of(SignalSource.LLAMA_METRICS, SignalSource.LLAMA_SLOTS);
    }

    @Override
    public String startCommand() {
        return "llama-server -m MODEL.gguf";
    }

    @Override
    public String getModel(String model) {
        return "llama-server -m " + model + ".gguf";
    }
}
