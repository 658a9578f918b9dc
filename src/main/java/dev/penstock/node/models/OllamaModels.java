package dev.penstock.node.models;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.node.http.LineFeed;
import dev.penstock.node.http.NodeClient;
import dev.penstock.node.protocol.answer.ServerErrors;
import dev.penstock.wire.Json;
import dev.penstock.wire.ModelName;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Pulls, unloads and deletes the models of Ollama (observed with 0.33.0). Ollama pulls from its library and from
 * Hugging Face, layer by layer. It loads models by itself.
 */
final class OllamaModels implements ModelCommands {
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    /**
     * The longest silence during a pull. Ollama is silent while it verifies a large model, or waits for a slow
     * registry.
     */
    private static final Duration SILENCE = Duration.ofMinutes(10);

    @Override
    public String canonical(String model) {
        return ModelName.atOllama(model);
    }

    @Override
    public void fetch(NodeClient client, String model, Consumer<ModelTransfer.State.Running> progress)
            throws Refused, InterruptedException {
        Layers layers = new Layers();
        try (LineFeed feed = client.lines(HttpMethod.POST, "/api/pull", nameDocument(model))) {
            while (true) {
                switch (feed.next(SILENCE)) {
                    case null ->
                        throw new Refused(
                                JobFailure.Code.IDLE_TIMEOUT,
                                "%s sent nothing for %s while it pulled %s".formatted(client.title(), SILENCE, model));
                    case LineFeed.Next.Broken(JobFailure failure) -> throw new Refused(failure);
                    case LineFeed.Next.Ended() ->
                        throw new Refused(
                                JobFailure.Code.STREAM_BROKEN,
                                "%s ended the pull of %s without a report of success".formatted(client.title(), model));
                    case LineFeed.Next.Line(String text) -> {
                        JsonNode line = Json.parseLenient(text);
                        if (line != null && line.hasNonNull("error")) {
                            throw failed(client, model, ServerErrors.shorten(ServerErrors.message(line)));
                        }
                        String status = line == null ? "" : line.path("status").asText("");
                        if (status.equals("success")) {
                            return;
                        }
                        if (line != null) {
                            progress.accept(layers.after(line, ServerErrors.shorten(status)));
                        }
                    }
                }
            }
        }
    }

    private static Refused failed(NodeClient client, String model, String words) {
        boolean missing = words.contains("file does not exist");
        return new Refused(
                missing ? JobFailure.Code.MODEL_NOT_FOUND : JobFailure.Code.NODE_ERROR,
                "%s could not pull %s: %s%s"
                        .formatted(client.title(), model, words, missing ? " (is the name right?)" : ""));
    }

    /**
     * The layers of one pull. They become known one after the other, so the percentage could fall. This class never
     * reports a lower percentage than before.
     */
    private static final class Layers {
        /** The largest size of a layer: a petabyte. A larger size counts as unknown. */
        private static final long LARGEST = 1_000_000_000_000_000L;
        /** The most layers that are counted. A model has about ten. */
        private static final int MOST = 1_000;

        private final Map<String, Long> completed = new HashMap<>();
        private final Map<String, Long> totals = new HashMap<>();
        private double percent;

        ModelTransfer.State.Running after(JsonNode line, String status) {
            String digest = line.path("digest").asText("");
            long size = line.path("total").asLong();
            boolean known = totals.containsKey(digest) || totals.size() < MOST;
            if (!digest.isEmpty() && known && size > 0 && size <= LARGEST) {
                totals.put(digest, size);
                long there = Math.clamp(line.path("completed").asLong(), 0, size);
                completed.merge(digest, there, Math::max);
            }
            long total = sum(totals);
            long done = sum(completed);
            percent = Math.max(percent, total == 0 ? 0 : Math.min(100, Math.floor(1000.0 * done / total) / 10));
            return total == 0
                    ? new ModelTransfer.State.Running(status, percent, null, null)
                    : new ModelTransfer.State.Running(status, percent, done, total);
        }

        private static long sum(Map<String, Long> values) {
            return values.values().stream().mapToLong(Long::longValue).sum();
        }
    }

    @Override
    public void unload(NodeClient client, String model) throws Refused, InterruptedException {
        Map<String, Object> body = Map.of("model", canonical(model), "keep_alive", 0, "stream", false);
        expectOk(
                client,
                ModelCommands.ask(client, HttpMethod.POST, "/api/generate", Buffer.buffer(Json.bytes(body)), PATIENCE));
    }

    @Override
    public void delete(NodeClient client, String model) throws Refused, InterruptedException {
        expectOk(client, ModelCommands.ask(client, HttpMethod.DELETE, "/api/delete", nameDocument(model), PATIENCE));
    }

    private static void expectOk(NodeClient client, NodeClient.Reply reply) throws Refused {
        if (reply.status() != 200) {
            throw new Refused(client.errors().refused(reply.status(), reply.body(), null));
        }
    }

    private Buffer nameDocument(String model) {
        return Buffer.buffer(Json.bytes(Map.of("model", canonical(model))));
    }
}
