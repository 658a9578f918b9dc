package dev.penstock.node;

import dev.penstock.job.JobFailure;
import dev.penstock.settings.Backend;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;

/** How one kind of server is told to fetch, load, unload and delete models; without state. */
sealed interface ModelCommands permits OllamaModels, RouterModels {

    /** Empty: of such a server the models are not Penstock's to change. */
    static Optional<ModelCommands> of(Backend backend) {
        return switch (backend) {
            case OLLAMA -> Optional.of(new OllamaModels());
            case LLAMA_SERVER -> Optional.of(new RouterModels());
            default -> Optional.empty();
        };
    }

    /** What to do at such a server instead. */
    static JobFailure impossible(Backend backend) {
        String instead = switch (backend.wireName()) {
            case "vllm" ->
                "it serves what it was started with: start another (vllm serve MODEL) and add it (penstock nodes add)";
            case "lm-studio" -> "its own program does (lms get MODEL, lms load MODEL, lms unload MODEL)";
            case "llama-cli" -> "it runs the files that the configuration names";
            case "llama-server" -> "Penstock starts it with the file that the configuration names (its model-path)";
            case "openai", "azure-openai", "anthropic" -> "its models are the provider's";
            default -> "use the server's own commands";
        };
        return JobFailure.of(
                JobFailure.Code.INVALID_REQUEST,
                "%s neither pulls, loads, unloads nor deletes models on command: %s"
                        .formatted(backend.wireName(), instead));
    }

    /** What the server answers to a document. */
    static NodeClient.Reply ask(NodeClient client, HttpMethod method, String path, Buffer json, Duration patience)
            throws Refused, InterruptedException {
        try {
            return client.call(method, path, json, patience);
        } catch (NodeClient.Unreachable e) {
            throw new Refused(JobFailure.Code.NODE_UNREACHABLE, e.reason());
        }
    }

    /** One name for all that mean the same model. */
    String canonical(String model);

    /** Returns when the model is there, and, where the server is one that loads on command, loaded. */
    void fetch(NodeClient client, String model, Consumer<ModelTransfer.State.Running> progress)
            throws Refused, InterruptedException;

    void unload(NodeClient client, String model) throws Refused, InterruptedException;

    void delete(NodeClient client, String model) throws Refused, InterruptedException;

    /** It was not done. */
    final class Refused extends Exception {
        private final transient JobFailure failure;

        Refused(JobFailure failure) {
            super(failure.message());
            this.failure = failure;
        }

        Refused(JobFailure.Code code, String message) {
            this(JobFailure.of(code, message));
        }

        JobFailure failure() {
            return failure;
        }
    }
}
