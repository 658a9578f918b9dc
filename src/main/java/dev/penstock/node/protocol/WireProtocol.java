package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.signals.SignalSource;
import dev.penstock.settings.NodeSettings;
import io.vertx.core.buffer.Buffer;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The protocol of one kind of model server. It has no state and does no I/O. */
public sealed interface WireProtocol permits OpenAiProtocol, OllamaProtocol, AnthropicProtocol {

    static WireProtocol of(NodeSettings node) {
        return switch (node.backend()) {
            case VLLM -> new VllmProtocol();
            case OLLAMA -> new OllamaProtocol();
            case OPENAI -> new OpenAiCloudProtocol();
            case AZURE_OPENAI -> new AzureOpenAiProtocol(node.requests().apiVersion());
            case ANTHROPIC -> new AnthropicProtocol();
            case LM_STUDIO -> new LmStudioProtocol();
            case LLAMA_SERVER -> new LlamaServerProtocol();
            case LLAMA_CLI -> throw new IllegalArgumentException("nothing is sent to llama-cli: it is started");
            case OPENAI_COMPATIBLE -> new OpenAiCompatibleProtocol();
        };
    }

    /**
     * A request to a server. The answer is streamed if possible. Without a stream, a server may continue to generate
     * after its client has left.
     *
     * @param bodies the bodies, which are sent one after the other
     * @param ignored the fields of the job that are not in the bodies
     */
    record Request(String path, List<Buffer> bodies, List<String> ignored) {
        public Request {
            bodies = List.copyOf(bodies);
            ignored = List.copyOf(ignored);
        }
    }

    /** Reports that the job cannot be expressed in this protocol. */
    final class Unsupported extends Exception {
        private final transient JobFailure failure;

        public Unsupported(String param, String message) {
            super(message);
            failure = JobFailure.invalid(param, message);
        }

        public Unsupported(JobFailure failure) {
            super(failure.message());
            this.failure = failure;
        }

        /** Returns a failure that applies only to this kind of server; another kind may succeed. */
        public static Unsupported here(String param, String message) {
            return new Unsupported(new JobFailure(
                    JobFailure.Code.MODEL_NOT_FOUND,
                    "%s: %s: name another node or model".formatted(param, message),
                    param,
                    null));
        }

        public JobFailure failure() {
            return failure;
        }
    }

    Request request(Prompt prompt) throws Unsupported;

    /**
     * Returns the request for the number of a chat's tokens. The answer has them in {@code input_tokens}. Empty if such
     * a server cannot count them.
     */
    default Optional<Request> count(Prompt prompt) throws Unsupported {
        return Optional.empty();
    }

    /** Whether a server can continue a text that another server has begun. */
    enum Continues {
        /** The answer has to start over. */
        CANNOT,
        /** The server's answer is the rest of the text. */
        SENDS_THE_REST,
        /** The server's answer is the rest of the text. Some versions send the text before it once more. */
        MAY_REPEAT
    }

    /**
     * Returns whether the server can continue the published text of an answer to this prompt. If it can, {@link
     * #request} builds the request for the rest from {@link Prompt#continuing}.
     */
    default Continues continues(Prompt prompt, String text) {
        return Continues.CANNOT;
    }

    /** Returns a parser for one job's answer. */
    AnswerParser parser(Prompt prompt);

    /** Returns the path of the list of models. A probe also requests this path. */
    String modelsPath();

    /** Returns the paths of further information. {@link #models} gets the answers in the same order. */
    default List<String> furtherPaths() {
        return List.of();
    }

    /**
     * Returns the models of a server.
     *
     * @param listed the answer of {@link #modelsPath}
     * @param further the answers of {@link #furtherPaths}; null for a missing answer
     */
    List<Model> models(JsonNode listed, List<@Nullable JsonNode> further);

    /** Returns the number of requests that the server takes at once; 0 if it does not report it. */
    default int totalSlots(List<@Nullable JsonNode> further) {
        return 0;
    }

    /** Returns the documents in which the server shows its load, the best one first; none if it has no such document. */
    default List<SignalSource> signalSources() {
        return List.of();
    }

    /** Returns the headers of each request, with the key if there is one. */
    default Map<String, String> headers(@Nullable String key) {
        return key == null ? Map.of() : Map.of("Authorization", "Bearer " + key);
    }

    /** Returns the command that starts such a server; empty if there is none. */
    default String startCommand() {
        return "";
    }

    /** Returns advice for an operator about a missing model. */
    default String getModel(String model) {
        return "GET /v1/models lists the models";
    }

    /**
     * A model at a node.
     *
     * @param context the length of the longest prompt and answer together, in tokens; null if the server does not
     *     report it
     * @param tasks the tasks of the model; all tasks of this kind of server if the server does not report them
     */
    record Model(String id, boolean loaded, @Nullable Long context, Set<Task> tasks) {
        /** The tasks of a server that ranks no documents, and compares no texts. */
        static final Set<Task> WITHOUT_SCORES = Set.copyOf(EnumSet.complementOf(EnumSet.of(Task.RERANK, Task.SCORE)));

        public Model {
            context = context == null || context < 1 ? null : context;
            tasks = Set.copyOf(tasks);
        }

        public Model(String id, boolean loaded, @Nullable Long context) {
            this(id, loaded, context, EnumSet.allOf(Task.class));
        }

        /** Returns the same model, in memory or not. */
        public Model withLoaded(boolean now) {
            return now == loaded ? this : new Model(id, now, context, tasks);
        }

        /** Returns the tasks of a model with these capabilities. */
        static Set<Task> tasks(boolean text, boolean images, boolean vectors) {
            Set<Task> tasks = EnumSet.noneOf(Task.class);
            if (text) {
                tasks.addAll(List.of(Task.CHAT, Task.COMPLETION));
            }
            if (images) {
                tasks.addAll(List.of(Task.DESCRIBE, Task.TAG));
            }
            if (vectors) {
                tasks.add(Task.EMBEDDINGS);
            }
            return tasks.isEmpty() ? WITHOUT_SCORES : tasks;
        }
    }
}
