package dev.penstock.cli.doctor;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Identifies the program that listens on a port of this machine, by its answers. */
final class PortLook {
    private static final Duration PATIENCE = Duration.ofSeconds(2);

    private final HttpClient http;
    private final int port;

    PortLook(HttpClient http, int port) {
        this.http = http;
        this.port = port;
    }

    /** The result for a port. */
    sealed interface Answer {
        /**
         * @param kind the kind of server; empty if it is unknown
         * @param models the models that the server lists; empty if it lists none
         */
        record Server(int port, String what, Optional<ModelServerKind> kind, List<String> models) implements Answer {
            public Server {
                models = List.copyOf(models);
            }
        }

        /**
         * A program listens, but it does not look like a model server.
         *
         * @param notReady whether the program may be a model server that is not ready yet
         */
        record Other(int port, String what, boolean notReady) implements Answer {}

        record Nothing(int port) implements Answer {}
    }

    /**
     * One HTTP answer of the server.
     *
     * @param json the JSON object in the answer; null if there is none
     * @param refusal the error message in the answer; empty if there is none
     */
    private record Page(int status, @Nullable JsonNode json, String refusal) {
        boolean has(String field) {
            return json != null && json.has(field);
        }
    }

    Answer look() throws InterruptedException {
        try {
            Page ollama = get("/api/version");
            if (ollama.has("version")) {
                return server(
                        "Ollama " + text(ollama, "version"), ModelServerKind.OLLAMA, "/api/tags", "models", "name");
            }
            Page props = get("/props");
            if (props.has("total_slots") || "router".equals(text(props, "role"))) {
                String mode = "router".equals(text(props, "role")) ? "llama-server (router)" : "llama-server";
                return server(mode, ModelServerKind.LLAMA_SERVER, "/v1/models", "data", "id");
            }
            Page nodes = get("/v1/nodes");
            if (nodes.has("data")) {
                return new Answer.Other(port, "Penstock", false);
            }
            Page version = get("/version");
            Page models = get("/v1/models");
            if (version.has("version") && (models.has("data") || models.status() == 401)) {
                return server("vLLM " + text(version, "version"), ModelServerKind.VLLM, "/v1/models", "data", "id");
            }
            if (models.has("data")) {
                return port == ModelServerKind.LM_STUDIO.port() || isLmStudio()
                        ? server("LM Studio", ModelServerKind.LM_STUDIO, "/v1/models", "data", "id")
                        : server("an OpenAI-compatible server", null, "/v1/models", "data", "id");
            }
            return withoutModels(models);
        } catch (IOException e) {
            return e instanceof ConnectException
                    ? new Answer.Nothing(port)
                    : new Answer.Other(port, "something that does not answer over HTTP", false);
        }
    }

    /**
     * Returns whether the server is LM Studio. LM Studio's own list (0.3.6 and newer) reports the state of each model.
     */
    private boolean isLmStudio() throws IOException, InterruptedException {
        JsonNode own = get("/api/v0/models").json();
        return own != null && own.path("data").path(0).has("state");
    }

    /**
     * Identifies a server that lists no models. If it is loading or requires a key, only the form of its refusal
     * identifies it.
     */
    private Answer withoutModels(Page models) {
        Optional<ModelServerKind> llama = Optional.of(ModelServerKind.LLAMA_SERVER);
        if (models.status() == 503 && models.refusal().equals("Loading model")) {
            return new Answer.Server(port, "llama-server, which is loading its model", llama, List.of());
        }
        if (models.status() == 503) {
            return new Answer.Other(port, "a server that is not ready (HTTP 503)", true);
        }
        if (models.status() == 401) {
            return models.refusal().equals("Invalid API Key")
                    ? new Answer.Server(port, "llama-server, which asks for a key", llama, List.of())
                    : new Answer.Server(port, "a server that asks for a key", Optional.empty(), List.of());
        }
        return new Answer.Other(port, "a server that is no model server (HTTP %d)".formatted(models.status()), false);
    }

    private static @Nullable String text(Page page, String field) {
        return page.json() == null ? null : page.json().path(field).asText();
    }

    private Answer server(String what, @Nullable ModelServerKind kind, String path, String list, String name)
            throws IOException, InterruptedException {
        List<String> models = new ArrayList<>();
        JsonNode json = get(path).json();
        if (json != null) {
            json.path(list).forEach(model -> models.add(model.path(name).asText()));
        }
        return new Answer.Server(port, what, Optional.ofNullable(kind), models);
    }

    private Page get(String path) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                .timeout(PATIENCE)
                .build();
        HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
        JsonNode json = Json.parseLenient(answer.body());
        if (answer.statusCode() != 200 || json == null || !json.isObject()) {
            String refusal = json == null ? "" : json.at("/error/message").asText();
            return new Page(answer.statusCode(), null, refusal);
        }
        return new Page(answer.statusCode(), json, "");
    }
}
