package dev.penstock.node.models;

import dev.penstock.job.JobFailure;
import dev.penstock.node.http.NodeClient;
import dev.penstock.settings.Backend;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;

/** The commands with which one kind of server fetches, loads, unloads and deletes models. It has no state. */
sealed interface ModelCommands permits OllamaModels, RouterModels {

    /** Returns the commands for a backend; empty if Penstock cannot change the models of such a server. */
    static Optional<ModelCommands> of(Backend backend) {
        return switch (backend) {
            case OLLAMA -> Optional.of(new OllamaModels());
            case LLAMA_SERVER -> Optional.of(new RouterModels());
            default -> Optional.empty();
        };
    }

    /** Returns the failure for such a server. It says how an operator changes the server's models. */
    static JobFailure impossible(Backend backend) {
        String instead = switch (backend.wireName()) {
            case "vllm" ->
                "it serves what it was started with: start another (vllm serve MODEL) and add it (penstock nodes add)";
            case "lm-studio" -> "its own program does (lms get MODEL, lms load MODEL, lms unload MODEL)";
            case "llama-cli" -> "it runs the files of the configuration";
            case "llama-server" -> "Penstock starts it with the file of the configuration (its model-path)";
            case "openai", "azure-openai", "anthropic" -> "its models are the provider's";
            default -> "use the server's own commands";
        };
        return JobFailure.of(
                JobFailure.Code.INVALID_REQUEST,
                "%s neither pulls, loads, unloads nor deletes models on command: %s"
                        .formatted(backend.wireName(), instead));
    }

    /** Sends a document to the server and returns its answer. */
    static NodeClient.Reply ask(NodeClient client, HttpMethod method, String path, Buffer json, Duration patience)
            throws Refused, InterruptedException {
        try {
            return client.call(method, path, json, patience);
        } catch (NodeClient.Unreachable e) {
            throw new Refused(JobFailure.Code.NODE_UNREACHABLE, e.reason());
        }
    }

    /** Returns the one name that stands for all names of the same model. */
    String canonical(String model);

    /**
     * Fetches a model. Returns when the server has the model. If the server loads models on command, the model is then
     * loaded.
     */
    void fetch(NodeClient client, String model, Consumer<ModelTransfer.State.Running> progress)
            throws Refused, InterruptedException;

    void unload(NodeClient client, String model) throws Refused, InterruptedException;

    void delete(NodeClient client, String model) throws Refused, InterruptedException;

    /** The server did not carry out a command. */
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
