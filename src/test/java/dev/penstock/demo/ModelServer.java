package dev.penstock.demo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.LlamaServer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The model server of the demo. It is a server that runs here already, else a llama-server that the demo starts, else
 * the scripted server of the tests.
 *
 * @param title its description for users
 * @param environment the variables with which Penstock finds it
 * @param model the model for the jobs
 * @param isFound whether it ran here before the demo
 * @param stop ends what the demo has started
 */
record ModelServer(String title, URI url, Map<String, String> environment, String model, boolean isFound, Runnable stop)
        implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(2);

    /**
     * A kind of server that may run on this machine, its identifying sign, and the variable that gives Penstock its
     * address.
     */
    private record Known(
            int port, String title, String path, String field, String variable, Map<String, String> further) {
        Map<String, String> environment(URI url) {
            Map<String, String> all = new HashMap<>(further);
            all.put(variable, url.toString());
            return all;
        }
    }

    private static final List<Known> KNOWN = List.of(
            new Known(11434, "Ollama", "/api/version", "version", "OLLAMA_HOST", Map.of()),
            new Known(8000, "vLLM", "/version", "version", "VLLM_URL", Map.of()),
            new Known(
                    1234,
                    "LM Studio",
                    "/v1/models",
                    "data",
                    "PENSTOCK_NODES_LMSTUDIO_URL",
                    Map.of("PENSTOCK_NODES_LMSTUDIO_BACKEND", "lm-studio")),
            new Known(8081, "llama-server", "/props", "total_slots", "LLAMA_SERVER_URL", Map.of()),
            new Known(8080, "llama-server", "/props", "total_slots", "LLAMA_SERVER_URL", Map.of()));

    ModelServer {
        environment = Map.copyOf(environment);
    }

    @Override
    public void close() {
        stop.run();
    }

    static ModelServer findOrStart() throws InterruptedException {
        Optional<ModelServer> found = find();
        if (found.isPresent()) {
            return found.get();
        }
        return switch (LlamaServer.start(LlamaServer.Model.ENDLESS)) {
            case LlamaServer.Start.Started(LlamaServer server) ->
                new ModelServer(
                        "llama-server with a tiny model of random weights: real tokens, no sense",
                        server.url(),
                        Map.of("LLAMA_SERVER_URL", server.url().toString()),
                        LlamaServer.MODEL,
                        false,
                        server::close);
            case LlamaServer.Start.Unavailable(String why) -> scripted(why);
        };
    }

    private static ModelServer scripted(String why) throws InterruptedException {
        System.out.println(why.lines().findFirst().orElse(why));
        ChildProcess process =
                ChildProcess.java("upstream", List.of(), FakeUpstream.class, "--tokens", "40", "--delay", "25");
        String url = process.awaitWord("ready", Duration.ofSeconds(30));
        return new ModelServer(
                "the scripted server of the tests: NO MODEL, the text is made up",
                URI.create(url),
                Map.of("VLLM_URL", url),
                "tiny",
                false,
                process::close);
    }

    /** Returns the first that has this sign and a model that generates text. */
    private static Optional<ModelServer> find() throws InterruptedException {
        try (HttpClient client =
                HttpClient.newBuilder().connectTimeout(PATIENCE).build()) {
            for (Known known : KNOWN) {
                URI url = URI.create("http://127.0.0.1:" + known.port());
                if (ask(client, url.resolve(known.path())).has(known.field())) {
                    for (JsonNode model : ask(client, url.resolve("/v1/models")).path("data")) {
                        String id = model.path("id").asText();
                        if (!id.isEmpty() && !id.contains("embed")) {
                            return Optional.of(new ModelServer(
                                    known.title() + ", which runs here already",
                                    url,
                                    known.environment(url),
                                    id,
                                    true,
                                    () -> {}));
                        }
                    }
                }
            }
        }
        return Optional.empty();
    }

    private static JsonNode ask(HttpClient client, URI address) throws InterruptedException {
        ObjectMapper json = new ObjectMapper();
        try {
            HttpRequest request =
                    HttpRequest.newBuilder(address).timeout(PATIENCE).build();
            return json.readTree(
                    client.send(request, HttpResponse.BodyHandlers.ofString()).body());
        } catch (IOException _) {
            return json.missingNode();
        }
    }
}
