package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Task;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.OllamaStream;
import dev.penstock.node.signals.SignalSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The protocol of Ollama's own API (observed with 0.33.0): /api/chat, /api/generate and /api/embed. */
final class OllamaProtocol implements WireProtocol {
    private static final int MOST_INPUTS = 128;

    @Override
    public Request request(Prompt prompt) throws Unsupported {
        return switch (prompt.task()) {
            case CHAT, DESCRIBE, TAG -> OllamaRequest.chat(prompt).to("/api/chat");
            case COMPLETION ->
                prompt.published() == null || OllamaRequest.isRaw(prompt)
                        ? OllamaRequest.generate(prompt).to("/api/generate")
                        : OllamaRequest.restOfCompletion(prompt).to("/api/chat");
            case EMBEDDINGS ->
                OllamaRequest.embed(prompt).to("/api/embed", "input", EmbeddingsParser.inputs(prompt, MOST_INPUTS));
            case RERANK, SCORE ->
                throw Unsupported.here(
                        "job.task", "ollama has no " + prompt.task().wireName());
        };
    }

    /**
     * Ollama continues a last message of the assistant. A model with a template of llama.cpp's kind sends the text once
     * more before the rest, and a model with a template of Ollama's kind sends only the rest (observed with 0.33.0). The
     * latter depends on the template: it must leave the last turn open, as those of Ollama's library do.
     *
     * <p>A completion that is not raw is a chat with one message of the user to Ollama (GenerateHandler in
     * server/routes.go, 0.33.0), so its rest is the rest of that chat. With a template, a suffix or a context of its own
     * it is not.
     */
    @Override
    public Continues continues(Prompt prompt, String text) {
        return switch (prompt.task()) {
            case CHAT, DESCRIBE -> Continues.MAY_REPEAT;
            case COMPLETION -> {
                if (OllamaRequest.isRaw(prompt)) {
                    yield Continues.SENDS_THE_REST;
                }
                yield Stream.of("suffix", "template", "context")
                                .anyMatch(name -> prompt.asked().get(name) != null)
                        ? Continues.CANNOT
                        : Continues.MAY_REPEAT;
            }
            case TAG, EMBEDDINGS, RERANK, SCORE -> Continues.CANNOT;
        };
    }

    @Override
    public AnswerParser parser(Prompt prompt) {
        return prompt.task() == Task.EMBEDDINGS
                ? new EmbeddingsParser(prompt, EmbeddingsParser.Shape.OLLAMA, MOST_INPUTS)
                : new OllamaStream(prompt.task().answersInChat());
    }

    @Override
    public String modelsPath() {
        return "/api/tags";
    }

    @Override
    public List<String> furtherPaths() {
        return List.of(SignalSource.OLLAMA_PS.path());
    }

    @Override
    public List<Model> models(JsonNode listed, List<@Nullable JsonNode> further) {
        Set<String> loaded = SignalSource.loaded(further.getFirst());
        List<Model> models = new ArrayList<>();
        for (JsonNode model : listed.path("models")) {
            String name = model.path("name").asText();
            JsonNode context = model.path("details").path("context_length");
            models.add(new Model(
                    name, loaded.contains(name), context.isNumber() ? context.longValue() : null, tasks(model)));
        }
        return models;
    }

    /**
     * Returns the tasks of a model from its capabilities (observed with Ollama 0.33.0-rc2): completion, vision and
     * embedding. It ignores all other capabilities.
     */
    private static Set<Task> tasks(JsonNode model) {
        Set<String> can = new HashSet<>();
        model.path("capabilities").forEach(capability -> can.add(capability.asText()));
        return Model.tasks(can.contains("completion"), can.contains("vision"), can.contains("embedding"));
    }

    @Override
    public List<SignalSource> signalSources() {
        return List.of(SignalSource.OLLAMA_PS);
    }

    @Override
    public String startCommand() {
        return "ollama serve";
    }

    @Override
    public String getModel(String model) {
        return "ollama pull " + model;
    }
}
