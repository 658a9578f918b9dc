package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** A replica with one node, and clients of its direct calls. */
final class DirectCallsRig implements AutoCloseable {
    static final Duration PATIENCE = Duration.ofMinutes(1);
    static final String JSON = "application/json";
    static final String CHAT = "/v1/chat/completions";
    static final String WHOLE = Answer.unicode(50).joined();
    static final WireSchemas SCHEMAS = new WireSchemas();
    private static final HttpClient HTTP =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    final Broker broker = Broker.start();
    final FakeUpstream fake = FakeUpstream.start();
    final PenstockProcess penstock;

    DirectCallsRig() throws InterruptedException {
        penstock = replica(broker.bootstrap())
                .config("penstock.api.answer-timeout", "2s")
                .config("penstock.routes[0].name", "all")
                .config("penstock.routes[0].when.source", "openai")
                .config("penstock.routes[0].to[0]", "gpu")
                .startReady();
    }

    PenstockProcess.Builder replica(String bootstrap) {
        return PenstockProcess.with(bootstrap)
                .node("fake", "vllm", URI.create(fake.url()), 64)
                .config("penstock.retries.backoff", "10ms");
    }

    void reset() {
        fake.script(_ -> Answer.unicode(50)).reset();
    }

    @Override
    public void close() {
        penstock.kill9();
        fake.close();
        broker.close();
    }

    static String chat(String prompt, String more) {
        return "{\"model\":\"tiny\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s}".formatted(prompt, more);
    }

    Rest.Reply post(String path, String body, String... headers) throws InterruptedException {
        return Rest.post(penstock.url(), path, JSON, body, headers);
    }

    /** Returns the documents of a stream, without the mark of its end. */
    static List<JsonNode> documents(String stream) {
        List<JsonNode> documents = new ArrayList<>();
        for (String event : stream.strip().split("\n\n", -1)) {
            assertThat(event).startsWith("data: ");
            if (!event.equals("data: [DONE]")) {
                documents.add(Objects.requireNonNull(Json.parseLenient(event.substring(6)), event));
            }
        }
        return documents;
    }

    static String text(List<JsonNode> chunks) {
        StringBuilder text = new StringBuilder();
        chunks.forEach(chunk -> text.append(chunk.at("/choices/0/delta/content").asText("")));
        return text.toString();
    }

    void assertIdle() throws InterruptedException {
        fake.awaitInFlight(0, PATIENCE);
        Metrics.await(penstock, "penstock_jobs_in_flight{node=\"fake\"}", 0, PATIENCE);
    }

    /** Opens a stream. */
    HttpResponse<InputStream> open(String body) throws InterruptedException {
        return open(penstock, body);
    }

    static HttpResponse<InputStream> open(PenstockProcess at, String body) throws InterruptedException {
        try {
            return HTTP.send(
                    HttpRequest.newBuilder(at.url().resolve(CHAT))
                            .header("Content-Type", JSON)
                            .POST(HttpRequest.BodyPublishers.ofString(body))
                            .build(),
                    HttpResponse.BodyHandlers.ofInputStream());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Socket connection(String body) throws IOException {
        Socket socket = new Socket();
        socket.setReceiveBufferSize(4_096);
        socket.connect(new InetSocketAddress(
                InetAddress.getLoopbackAddress(), penstock.url().getPort()));
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        socket.getOutputStream()
                .write(
                        "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                                .formatted(CHAT, bytes.length, body)
                                .getBytes(StandardCharsets.UTF_8));
        return socket;
    }
}
