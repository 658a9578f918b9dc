package dev.penstock.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A server that answers nothing by itself, with room for one body of 800 bytes. */
class BodyBudgetTest {
    private static final int SIZE = 800;

    private final Vertx vertx = Vertx.vertx();
    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final BlockingQueue<RoutingContext> admitted = new LinkedBlockingQueue<>();
    private HttpServer server;

    @BeforeEach
    void listen() {
        BodyBudget budget = new BodyBudget(SIZE, SIZE, SIZE);
        Router router = Router.router(vertx);
        router.route().handler(budget::admit).handler(admitted::add);
        server = vertx.createHttpServer()
                .requestHandler(router)
                .listen(0)
                .toCompletionStage()
                .toCompletableFuture()
                .join();
    }

    @AfterEach
    void close() {
        client.shutdownNow();
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void a_call_beyond_it_is_refused_until_another_has_ended() throws Exception {
        CompletableFuture<Integer> first = post(SIZE);
        RoutingContext running = admitted();

        HttpResponse<String> refused = refused();
        var _ = running.end();

        assertThat(refused.statusCode()).isEqualTo(503);
        assertThat(refused.headers().firstValue("Retry-After")).isPresent();
        assertThat(refused.body()).contains("broker_unavailable").doesNotContain("rate_limited");
        assertThat(first.get()).isEqualTo(200);
        CompletableFuture<Integer> next = post(SIZE);
        var _ = admitted().end();
        assertThat(next.get()).isEqualTo(200);
    }

    @Test
    void a_call_that_goes_on_for_long_gives_its_share_back_before_and_once() throws Exception {
        CompletableFuture<Integer> stream = post(SIZE);
        RoutingContext streaming = admitted();
        BodyBudget.giveBack(streaming);
        CompletableFuture<Integer> second = post(SIZE);
        RoutingContext running = admitted();

        var _ = streaming.end();

        assertThat(stream.get()).isEqualTo(200);
        assertThat(refused().statusCode()).isEqualTo(503);
        var _ = running.end();
        assertThat(second.get()).isEqualTo(200);
    }

    @Test
    void a_type_alone_is_no_body() throws Exception {
        CompletableFuture<Integer> first = post(SIZE);
        RoutingContext running = admitted();

        CompletableFuture<Integer> get = send(
                request().header("Content-Type", "application/x-ndjson").GET().build());
        RoutingContext asking = admitted();

        var _ = asking.end();
        var _ = running.end();
        assertThat(get.get()).isEqualTo(200);
        assertThat(first.get()).isEqualTo(200);
    }

    @Test
    void a_body_that_does_not_tell_its_size_counts() throws Exception {
        CompletableFuture<Integer> first = post(SIZE);
        RoutingContext running = admitted();

        HttpResponse<String> refused = client.send(
                request()
                        .POST(HttpRequest.BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(new byte[10])))
                        .build(),
                HttpResponse.BodyHandlers.ofString());

        assertThat(refused.statusCode()).isEqualTo(503);
        var _ = running.end();
        assertThat(first.get()).isEqualTo(200);
    }

    /** On one connection, whose second half comes when the refusal is there: closed with that unread, it would be reset. */
    @Test
    void one_that_is_refused_before_its_body_came_hears_why_and_may_send_the_rest() throws Exception {
        CompletableFuture<Integer> first = post(SIZE);
        RoutingContext running = admitted();

        try (Socket socket = new Socket("localhost", server.actualPort())) {
            OutputStream out = socket.getOutputStream();
            BufferedReader in =
                    new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
            out.write(head());
            out.write(new byte[SIZE / 2]);
            assertThat(in.readLine()).startsWith("HTTP/1.1 503");
            while (!in.readLine().isEmpty()) {}
            in.read(new char[1]);
            out.write(new byte[SIZE - SIZE / 2]);
            var _ = running.end();
            assertThat(first.get()).isEqualTo(200);

            out.write(head());
            out.write(new byte[SIZE]);
            var _ = admitted().end();
            assertThat(in.lines().filter(line -> line.contains("HTTP/1.1")).findFirst())
                    .hasValueSatisfying(line -> assertThat(line).endsWith("HTTP/1.1 200 OK"));
        }
    }

    @Test
    void one_that_is_refused_and_does_not_end_its_body_loses_its_connection() throws Exception {
        CompletableFuture<Integer> first = post(SIZE);
        RoutingContext running = admitted();

        try (Socket socket = new Socket("localhost", server.actualPort())) {
            socket.setSoTimeout(60_000);
            socket.getOutputStream().write(head());
            assertThat(socket.getInputStream().readAllBytes())
                    .startsWith("HTTP/1.1 503".getBytes(StandardCharsets.UTF_8));
        }
        var _ = running.end();
        assertThat(first.get()).isEqualTo(200);
    }

    private static byte[] head() {
        return "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                .formatted(SIZE)
                .getBytes(StandardCharsets.UTF_8);
    }

    private RoutingContext admitted() throws InterruptedException {
        return Objects.requireNonNull(admitted.poll(30, TimeUnit.SECONDS), "no call was let in");
    }

    private HttpResponse<String> refused() throws IOException, InterruptedException {
        return client.send(
                request()
                        .POST(HttpRequest.BodyPublishers.ofByteArray(new byte[SIZE]))
                        .build(),
                HttpResponse.BodyHandlers.ofString());
    }

    private CompletableFuture<Integer> post(int size) {
        return send(request()
                .POST(HttpRequest.BodyPublishers.ofByteArray(new byte[size]))
                .build());
    }

    private CompletableFuture<Integer> send(HttpRequest request) {
        return client.sendAsync(request, HttpResponse.BodyHandlers.ofString()).thenApply(HttpResponse::statusCode);
    }

    private HttpRequest.Builder request() {
        return HttpRequest.newBuilder(URI.create("http://localhost:" + server.actualPort()));
    }
}
