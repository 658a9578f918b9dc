package dev.penstock.node.models;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.node.http.LineFeed;
import dev.penstock.node.http.NodeClient;
import dev.penstock.node.protocol.LlamaServerProtocol;
import dev.penstock.wire.Json;
import dev.penstock.wire.ModelName;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Fetches, unloads and deletes the models of a llama-server in router mode (observed with llama.cpp 0.7.0). Such a
 * server starts without a model, with {@code --models-dir} or its cache. It reports the progress of a load in an event
 * stream, and the result in its list of models.
 */
final class RouterModels implements ModelCommands {
    private static final Duration PATIENCE = Duration.ofSeconds(10);
    private static final Duration LISTED_WITHIN = Duration.ofSeconds(3);
    private static final Duration UNTIL_ANSWERED = Duration.ofSeconds(30);
    private static final Duration LOOK = Duration.ofMillis(250);
    /** How long a download may be missing from the list. It appears only after its server process has started. */
    private static final Duration UNTIL_LISTED = Duration.ofSeconds(5);

    private final Duration untilListed;

    RouterModels() {
        this(UNTIL_LISTED);
    }

    /** @param untilListed how long a model may be missing from the list before its fetch counts as failed */
    RouterModels(Duration untilListed) {
        this.untilListed = untilListed;
    }

    @Override
    public String canonical(String model) {
        return ModelName.onHub(model).orElse(model);
    }

    @Override
    public void fetch(NodeClient client, String model, Consumer<ModelTransfer.State.Running> progress)
            throws Refused, InterruptedException {
        expectRouter(client);
        String name = canonical(model);
        boolean download = ModelName.onHub(model).isPresent() && listed(client, name) == null;
        try (LineFeed events = client.events("/models/sse")) {
            NodeClient.Reply begun = ModelCommands.ask(
                    client, HttpMethod.POST, download ? "/models" : "/models/load", nameDocument(name), PATIENCE);
            // "already running" means that the model is loaded, or that another client is loading it
            if (!begun.body().contains("already running")) {
                expectOk(client, name, begun);
            }
            if (download) {
                awaitDownload(client, name, events, progress);
            } else {
                awaitLoaded(client, name, events, progress);
            }
        }
    }

    private void awaitLoaded(
            NodeClient client, String name, LineFeed events, Consumer<ModelTransfer.State.Running> progress)
            throws Refused, InterruptedException {
        long until = System.nanoTime() + untilListed.toNanos();
        while (true) {
            JsonNode status = listed(client, name);
            if (status != null && LlamaServerProtocol.isLoadedStatus(status)) {
                return;
            }
            if (status == null || !status.path("value").asText().equals("unloaded")) {
                until = System.nanoTime() + untilListed.toNanos();
            } else if (System.nanoTime() - until > 0) {
                throw new Refused(
                        JobFailure.Code.NODE_ERROR,
                        "%s does not load %s any more: another client has unloaded it; load it again"
                                .formatted(client.title(), name));
            }
            if (status == null || status.path("failed").asBoolean()) {
                throw new Refused(
                        JobFailure.Code.NODE_ERROR,
                        "%s could not load %s: its process ended%s; the server's log has the reason"
                                .formatted(
                                        client.title(),
                                        name,
                                        status != null && status.has("exit_code")
                                                ? " with code "
                                                        + status.path("exit_code")
                                                                .asInt()
                                                : ""));
            }
            progress.accept(next(events, name, status.path("value").asText("loading")));
        }
    }

    private void awaitDownload(
            NodeClient client, String name, LineFeed events, Consumer<ModelTransfer.State.Running> progress)
            throws Refused, InterruptedException {
        long until = System.nanoTime() + untilListed.toNanos();
        while (true) {
            JsonNode status = listed(client, name);
            if (status != null && !status.path("value").asText().equals("downloading")) {
                return;
            }
            if (status == null && System.nanoTime() - until > 0) {
                throw new Refused(
                        JobFailure.Code.NODE_ERROR,
                        "%s could not download %s; the server's log has the reason".formatted(client.title(), name));
            }
            if (status != null) {
                until = System.nanoTime() + untilListed.toNanos();
            }
            progress.accept(next(events, name, "downloading"));
        }
    }

    /**
     * Returns the event stream's next report about this model. If no report comes within a moment, returns only the
     * status.
     */
    private static ModelTransfer.State.Running next(LineFeed events, String name, String status)
            throws InterruptedException {
        long until = System.nanoTime() + LOOK.toNanos();
        long left = LOOK.toNanos();
        while (left > 0) {
            LineFeed.Next next = events.next(Duration.ofNanos(left));
            if (next instanceof LineFeed.Next.Line(String line)) {
                JsonNode event = Json.parseLenient(line);
                JsonNode value = event == null ? null : event.at("/data/progress/value");
                if (event != null && event.path("model").asText().equals(name) && value != null && value.isNumber()) {
                    return new ModelTransfer.State.Running(
                            status, Math.floor(value.asDouble() * 1000) / 10, null, null);
                }
            } else if (next != null) {
                LockSupport.parkNanos(until - System.nanoTime());
            }
            left = until - System.nanoTime();
        }
        return new ModelTransfer.State.Running(status, null, null, null);
    }

    /**
     * Returns a model's status in the router's list; null if the model is not in the list. If a request gets no
     * answer, it repeats the request, because a router that is busy with a model can leave a request unanswered.
     */
    private static @Nullable JsonNode listed(NodeClient client, String name) throws Refused, InterruptedException {
        long until = System.nanoTime() + UNTIL_ANSWERED.toNanos();
        JsonNode models = null;
        while (models == null) {
            try {
                models = client.get("/v1/models", LISTED_WITHIN).json();
                if (models == null) {
                    return null;
                }
            } catch (NodeClient.Unreachable e) {
                if (!e.timedOut() || System.nanoTime() - until > 0) {
                    throw new Refused(JobFailure.Code.NODE_UNREACHABLE, e.reason());
                }
            }
        }
        for (JsonNode model : models.path("data")) {
            if (model.path("id").asText().equals(name)) {
                return model.path("status");
            }
        }
        return null;
    }

    private static void expectRouter(NodeClient client) throws Refused, InterruptedException {
        JsonNode props = ModelCommands.ask(client, HttpMethod.GET, "/props", Buffer.buffer(), PATIENCE)
                .json();
        if (props == null || !props.path("role").asText().equals("router")) {
            throw new Refused(
                    JobFailure.Code.INVALID_REQUEST,
                    "%s serves the one model it was started with: started with --models-dir FOLDER it loads and unloads on command"
                            .formatted(client.title()));
        }
    }

    @Override
    public void unload(NodeClient client, String model) throws Refused, InterruptedException {
        expectRouter(client);
        String name = canonical(model);
        expectOk(
                client,
                name,
                ModelCommands.ask(client, HttpMethod.POST, "/models/unload", nameDocument(name), PATIENCE));
    }

    @Override
    public void delete(NodeClient client, String model) throws Refused, InterruptedException {
        expectRouter(client);
        String name = canonical(model);
        String path = "/models?model=" + URLEncoder.encode(name, StandardCharsets.UTF_8);
        NodeClient.Reply reply = ModelCommands.ask(client, HttpMethod.DELETE, path, Buffer.buffer(), PATIENCE);
        if (reply.body().contains("not removable")) {
            throw new Refused(
                    JobFailure.Code.INVALID_REQUEST,
                    "%s did not download %s itself, and leaves its file alone: delete that where it lies"
                            .formatted(client.title(), name));
        }
        expectOk(client, name, reply);
    }

    private static void expectOk(NodeClient client, String name, NodeClient.Reply reply) throws Refused {
        boolean unknown = reply.status() == 404 || reply.body().contains("model is not found");
        if (unknown) {
            throw new Refused(
                    JobFailure.Code.MODEL_NOT_FOUND,
                    "model '%s' is not at %s (hf:USER/REPO:QUANT downloads one)".formatted(name, client.title()));
        }
        if (reply.status() != 200) {
            throw new Refused(client.errors().refused(reply.status(), reply.body(), null));
        }
    }

    private static Buffer nameDocument(String name) {
        return Buffer.buffer(Json.bytes(Map.of("model", name)));
    }
}
