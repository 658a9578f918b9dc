package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.settings.NodeSettings;
import io.vertx.core.buffer.Buffer;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** How one kind of model server is talked to; without state and without I/O. */
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
     * A request to a server: streamed wherever it can be, since a server may go on with one that is not when its client
     * left.
     *
     * @param bodies sent one after the other
     * @param ignored fields of the job that are not among them
     */
    record Request(String path, List<Buffer> bodies, List<String> ignored) {
        public Request {
            bodies = List.copyOf(bodies);
            ignored = List.copyOf(ignored);
        }
    }

    /** Tells a job this protocol cannot carry. */
    final class Unsupported extends Exception {
        private final transient JobFailure failure;

        Unsupported(String param, String message) {
            super(message);
            failure = JobFailure.invalid(param, message);
        }

        Unsupported(JobFailure failure) {
            super(failure.message());
            this.failure = failure;
        }

        /** What this kind of server cannot do, and another may. */
        static Unsupported here(String param, String message) {
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

    /** A parser of one job's answer. */
    AnswerParser parser(Prompt prompt);

    /** The path that lists the models; asking for it is the probe too. */
    String modelsPath();

    /** Paths whose answers say more, in the order of {@link #models}'s further arguments. */
    default List<String> furtherPaths() {
        return List.of();
    }

    /**
     * The models a server has.
     *
     * @param listed the answer of {@link #modelsPath}
     * @param further the answers of {@link #furtherPaths}; null where there was none
     */
    List<Model> models(JsonNode listed, List<@Nullable JsonNode> further);

    /** How many requests the server takes at once; 0: it does not say. */
    default int totalSlots(List<@Nullable JsonNode> further) {
        return 0;
    }

    /** The headers of each request, with the key where there is one. */
    default Map<String, String> headers(@Nullable String key) {
        return key == null ? Map.of() : Map.of("Authorization", "Bearer " + key);
    }

    /** The command that starts such a server; empty: there is none. */
    default String startCommand() {
        return "";
    }

    /** What to do where a model is missing. */
    default String getModel(String model) {
        return "GET /v1/models says what there is";
    }

    /** Reads one answer. Not thread-safe. */
    interface AnswerParser {
        /** Turns a line into what it says; after {@link TokenEvent.End} or {@link TokenEvent.Broken} nothing counts. */
        void line(String line, Consumer<TokenEvent> events);

        /**
         * What cuts the bytes of a body into the lines of {@link #line}.
         *
         * @param longest line, in bytes
         */
        Cutter cutter(int longest, Consumer<TokenEvent> events);

        /** As an error names it. */
        default String name() {
            return getClass().getSimpleName();
        }

        /** The server says in words that it failed. */
        default void failed(String words, Consumer<TokenEvent> events) {
            events.accept(new TokenEvent.Broken(ServerErrors.failure(words)));
        }

        /** The response has ended: once for each request. */
        default void end(Consumer<TokenEvent> events) {}

        /** Whether {@link #end} reads a whole document: that is work for the thread of the run, not for an event loop. */
        default boolean readsAtEnd() {
            return false;
        }
    }

    /**
     * A model at a node.
     *
     * @param context its longest prompt and answer, in tokens; null where the server does not say
     * @param tasks what it is for; all of them where the server does not say
     */
    record Model(String id, boolean loaded, @Nullable Long context, Set<Task> tasks) {
        public Model {
            context = context == null || context < 1 ? null : context;
            tasks = Set.copyOf(tasks);
        }

        Model(String id, boolean loaded, @Nullable Long context) {
            this(id, loaded, context, EnumSet.allOf(Task.class));
        }

        /** What a model is for that does these. */
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
            return tasks.isEmpty() ? EnumSet.allOf(Task.class) : tasks;
        }
    }
}
