package dev.penstock.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.parsetools.RecordParser;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.util.concurrent.CompletableFuture;

/** A chat completion without Penstock: one streamed call, with every delta parsed. Thread-safe. */
final class StreamedCall implements AutoCloseable {
    private static final ObjectMapper JSON = JsonMapper.builder().build();

    private final Vertx vertx = Vertx.vertx(new VertxOptions().setWorkerPoolSize(1));
    private final HttpClient http;

    StreamedCall(URI server, int connections) {
        http = vertx.createHttpClient(
                new HttpClientOptions()
                        .setDefaultHost(server.getHost())
                        .setDefaultPort(server.getPort())
                        .setTcpNoDelay(true),
                new PoolOptions().setHttp1MaxSize(connections));
    }

    /** Returns the request of a job's document. */
    static byte[] request(byte[] job) {
        try {
            ObjectNode request = JSON.createObjectNode();
            request.put("model", "tiny");
            request.set("messages", JSON.readTree(job).get("messages"));
            request.put("stream", true);
            request.putObject("stream_options").put("include_usage", true);
            return JSON.writeValueAsBytes(request);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Sends the request, and reads to the end.
     *
     * @param onFirst called on the event loop with the first piece of text
     * @return the whole text; failed if the answer was incomplete
     */
    CompletableFuture<String> ask(byte[] request, Runnable onFirst) {
        CompletableFuture<String> text = new CompletableFuture<>();
        // all handlers are attached on the connection's event loop, before any data of the answer can arrive
        http.request(HttpMethod.POST, "/v1/chat/completions")
                .onSuccess(connected -> connected
                        .putHeader("Content-Type", "application/json")
                        .send(Buffer.buffer(request))
                        .onSuccess(response -> read(response, text, onFirst))
                        .onFailure(text::completeExceptionally))
                .onFailure(text::completeExceptionally);
        return text;
    }

    private static void read(HttpClientResponse response, CompletableFuture<String> text, Runnable onFirst) {
        StringBuilder whole = new StringBuilder();
        RecordParser lines = RecordParser.newDelimited("\n", line -> {
            if (line.length() < 7 || line.getByte(0) != 'd') {
                return;
            }
            String data = line.getString(6, line.length());
            if (data.startsWith("[DONE]")) {
                text.complete(whole.toString());
                return;
            }
            String delta = delta(data);
            if (!delta.isEmpty()) {
                if (whole.isEmpty()) {
                    onFirst.run();
                }
                whole.append(delta);
            }
        });
        response.handler(lines);
        response.exceptionHandler(text::completeExceptionally);
        response.endHandler(_ -> text.completeExceptionally(new IOException("the answer was not whole")));
    }

    private static String delta(String data) {
        try {
            JsonNode chunk = JSON.readTree(data);
            return chunk.path("choices").path(0).path("delta").path("content").asText("");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        var _ = http.close();
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }
}
