package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.TokenEvent;
import dev.penstock.settings.Backend;
import io.vertx.core.buffer.Buffer;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** How one family of model servers is talked to; without state and without I/O. */
public sealed interface WireProtocol permits OpenAiProtocol, OllamaProtocol {

    static WireProtocol of(Backend backend) {
        return switch (backend) {
            case OLLAMA -> new OllamaProtocol();
            case VLLM, OPENAI, LM_STUDIO, LLAMA_SERVER, OPENAI_COMPATIBLE -> new OpenAiProtocol();
        };
    }

    /** A request to a server: always streamed, since a server may go on with one that is not when its client left. */
    record Request(String path, Buffer body) {}

    /** Tells a job this protocol cannot carry. */
    final class Unsupported extends Exception {
        private final transient JobFailure failure;

        Unsupported(String param, String message) {
            super(message);
            failure = JobFailure.invalid(param, message);
        }

        public JobFailure failure() {
            return failure;
        }
    }

    Request request(PromptJob job, String model) throws Unsupported;

    /** A parser of one answer's lines. */
    LineParser parser(PromptJob job);

    /** The path that lists the models; asking for it is the probe too. */
    String modelsPath();

    /** Paths whose answers say more, in the order of {@link #models}'s further arguments. */
    List<String> furtherPaths();

    /**
     * The models a server has.
     *
     * @param listed the answer of {@link #modelsPath}
     * @param further the answers of {@link #furtherPaths}; null where there was none
     */
    List<Model> models(JsonNode listed, List<@Nullable JsonNode> further);

    /** Reads the lines of one answer. Not thread-safe. */
    interface LineParser {
        /** Turns a line into what it says; after {@link TokenEvent.End} or {@link TokenEvent.Broken} nothing counts. */
        void line(String line, Consumer<TokenEvent> events);
    }

    /**
     * A model at a node.
     *
     * @param context its longest prompt and answer, in tokens; null where the server does not say
     */
    record Model(String id, boolean loaded, @Nullable Long context) {}
}
