package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Task;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The protocol of LM Studio, according to its documentation. */
final class LmStudioProtocol extends OpenAiProtocol {
    @Override
    void own(Translation translation, Prompt prompt, boolean chat) {
        translation
                .pass("max_tokens", "max_completion_tokens", "max_tokens")
                .pass("top_k", "top_k")
                .pass("repeat_penalty", "repetition_penalty", "repeat_penalty");
        if (chat) {
            translation.pass("reasoning_effort", "reasoning_effort");
            // translates json_object into a schema, because the server refuses json_object
            if (translation.take("response_format") instanceof Map<?, ?> format
                    && "json_object".equals(format.get("type"))) {
                translation.put(
                        "response_format",
                        Map.of(
                                "type",
                                "json_schema",
                                "json_schema",
                                Map.of("name", "object", "schema", translation.answerSchema())));
            }
        }
    }

    /** Translates tool_choice into a word, because the server accepts only words. */
    @Override
    void tools(Translation translation) throws Unsupported {
        Tools.of(translation).inWordsInto(translation);
    }

    /** Leaves out {@code encoding_format}, because the server always answers with numbers. */
    @Override
    void embeddings(Translation translation) {
        translation.take("encoding_format");
    }

    @Override
    boolean takesN() {
        return false;
    }

    @Override
    public List<String> furtherPaths() {
        return List.of("/api/v0/models");
    }

    /**
     * Returns the models of a server. LM Studio's own list reports which models are loaded. Without this list, all
     * models count as loaded.
     */
    @Override
    public List<Model> models(JsonNode listed, List<@Nullable JsonNode> further) {
        Map<String, JsonNode> known = new HashMap<>();
        JsonNode own = further.getFirst();
        if (own != null) {
            own.path("data").forEach(model -> known.put(model.path("id").asText(), model));
        }
        List<Model> models = new ArrayList<>();
        for (Model model : super.models(listed, List.of())) {
            JsonNode more = known.get(model.id());
            models.add(
                    more == null
                            ? model
                            : new Model(
                                    model.id(),
                                    more.path("state").asText("").equals("loaded"),
                                    context(more),
                                    tasks(more)));
        }
        return models;
    }

    private static Set<Task> tasks(JsonNode model) {
        String type = model.path("type").asText();
        return Model.tasks(type.matches("llm|vlm"), type.equals("vlm"), type.equals("embeddings"));
    }

    private static @Nullable Long context(JsonNode model) {
        JsonNode context = model.has("loaded_context_length")
                ? model.get("loaded_context_length")
                : model.path("max_context_length");
        return context.isNumber() ? context.longValue() : null;
    }

    @Override
    public String startCommand() {
        return "lms server start";
    }

    @Override
    public String getModel(String model) {
        return "lms get " + model;
    }
}
