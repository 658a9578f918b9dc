package dev.penstock.webhook;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.penstock.reply.WebhookRecord;
import dev.penstock.settings.Webhook;
import dev.penstock.wire.WebhookSecret;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class PosterTest {
    private static final Instant NOW = Instant.parse("2026-05-01T12:00:00.900Z");
    private static final WebhookSecret SECRET =
            WebhookSecret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").orElseThrow();

    private final Vertx vertx = Vertx.vertx();
    private final Poster poster = new Poster(vertx);
    private final WebhookRecord record = TestRecords.announced("orders", "a.b", NOW);
    private final List<String> paths = new CopyOnWriteArrayList<>();
    private final Map<String, String> headers = new ConcurrentHashMap<>();
    private volatile String body = "";
    private HttpServer server;

    @BeforeEach
    void listen() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.start();
    }

    @AfterEach
    void close() {
        poster.close();
        vertx.close().toCompletionStage().toCompletableFuture().join();
        server.stop(0);
    }

    private Webhook webhook(String path, Duration timeout) {
        URI url =
                URI.create("http://127.0.0.1:%d%s".formatted(server.getAddress().getPort(), path));
        return new Webhook("orders", url, List.of(SECRET), timeout);
    }

    private void answer(int status) {
        server.createContext("/", exchange -> {
            note(exchange);
            exchange.getResponseHeaders().add("Location", "/elsewhere");
            exchange.sendResponseHeaders(status, 2);
            exchange.getResponseBody().write(new byte[] {'o', 'k'});
            exchange.close();
        });
    }

    private void note(HttpExchange exchange) throws IOException {
        paths.add(exchange.getRequestMethod() + " " + exchange.getRequestURI());
        exchange.getRequestHeaders()
                .forEach((name, values) -> headers.put(name.toLowerCase(Locale.ROOT), values.getFirst()));
        body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    }

    @Test
    void the_outcome_is_posted_as_it_is_with_the_headers_of_standard_webhooks() throws Exception {
        answer(204);

        assertThat(poster.post(webhook("/hook?token=t", Duration.ofSeconds(10)), record, NOW))
                .isEqualTo(new PostResult.Taken());

        byte[] event = record.event().get();
        assertThat(paths).containsExactly("POST /hook?token=t");
        assertThat(body).isEqualTo(new String(event, StandardCharsets.UTF_8));
        assertThat(headers)
                .containsEntry("content-type", "application/json")
                .containsEntry("webhook-id", record.messageId())
                .containsEntry("webhook-timestamp", Long.toString(NOW.getEpochSecond()))
                .containsEntry("webhook-signature", SECRET.sign(record.messageId(), NOW.getEpochSecond(), event))
                .doesNotContainKey("traceparent");
    }

    @Test
    void a_redirect_is_not_followed() throws Exception {
        answer(307);

        assertThat(poster.post(webhook("/hook", Duration.ofSeconds(10)), record, NOW))
                .isEqualTo(new PostResult.Failed("the receiver answered 307"));
        assertThat(paths).containsExactly("POST /hook");
    }

    @Test
    void a_receiver_that_hangs_is_given_up() throws Exception {
        server.createContext("/", this::note);

        assertThat(poster.post(webhook("/hook", Duration.ofMillis(200)), record, NOW))
                .isEqualTo(new PostResult.Failed("the receiver did not answer within PT0.2S"));
    }

    @Test
    void the_status_counts_although_the_answer_does_not_end() throws Exception {
        server.createContext("/", exchange -> {
            note(exchange);
            exchange.sendResponseHeaders(200, 1_000);
            exchange.getResponseBody().flush();
        });

        assertThat(poster.post(webhook("/hook", Duration.ofSeconds(10)), record, NOW))
                .isEqualTo(new PostResult.Taken());
    }

    @Test
    void a_receiver_that_is_not_there_is_a_failure_without_the_path_of_its_address() throws Exception {
        int port;
        try (ServerSocket closed = new ServerSocket(0)) {
            port = closed.getLocalPort();
        }
        Webhook gone = new Webhook(
                "orders",
                URI.create("http://127.0.0.1:%d/hook?token=secret".formatted(port)),
                List.of(SECRET),
                Duration.ofSeconds(10));

        assertThat(poster.post(gone, record, NOW))
                .isInstanceOfSatisfying(
                        PostResult.Failed.class,
                        failed -> assertThat(failed.why())
                                .startsWith("the receiver could not be reached: ")
                                .doesNotContain("secret"));
    }
}
