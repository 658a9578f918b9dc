package dev.penstock.api.call;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.api.connection.Calls;
import dev.penstock.job.JobFailure;
import dev.penstock.wire.Json;
import io.quarkus.vertx.http.runtime.ResumingRequestWrapper;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServer;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A server without answers of its own, with memory for one body of 800 bytes. */
class BodyBudgetTest {
    private static final int SIZE = 800;
    private static final int CALLS = Integer.getInteger("penstock.test.calls", 1_000);
    private static final CountedBody.Timer NO_TIMER = (_, _) -> () -> {};

    private final Vertx vertx = Vertx.vertx();
    private final HttpClient client =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final BlockingQueue<RoutingContext> admitted = new LinkedBlockingQueue<>();
    private BodyBudget budget;
    private HttpServer server;

    @BeforeEach
    void listen() {
        listen(Duration.ofSeconds(5));
    }

    /** @param patience with a call that is over and does not end its body */
    private void listen(Duration patience) {
        budget = new BodyBudget(10 * SIZE, SIZE, SIZE, Duration.ofSeconds(30));
        Router router = Router.router(vertx);
        router.route()
                .handler(call -> Calls.follow(call, patience))
                .handler(budget::admit)
                .handler(admitted::add);
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
    void a_kept_connection_stays_whatever_thread_ends_its_calls() throws Exception {
        Router router = Router.router(vertx);
        router.route().handler(call -> Calls.follow(call, Duration.ofMillis(100)));
        // as the page of Swagger UI does
        router.route("/folder/").handler(call -> call.reroute("/folder/index.html"));
        router.route()
                .handler(call -> Thread.startVirtualThread(() -> call.response().end()));
        AtomicInteger connections = new AtomicInteger();
        HttpServer other = vertx.createHttpServer()
                .connectionHandler(_ -> connections.incrementAndGet())
                // as Quarkus does
                .requestHandler(request -> {
                    request.pause();
                    router.handle(new ResumingRequestWrapper(request, false));
                })
                .listen(0)
                .toCompletionStage()
                .toCompletableFuture()
                .join();
        URI address = URI.create("http://127.0.0.1:" + other.actualPort());

        for (int i = 0; i < CALLS; i++) {
            HttpRequest.Builder request = HttpRequest.newBuilder(i % 3 == 0 ? address.resolve("/folder/") : address);
            HttpRequest get = i % 2 == 0
                    ? request.GET().build()
                    : request.POST(HttpRequest.BodyPublishers.ofString("{}")).build();
            assertThat(client.send(get, HttpResponse.BodyHandlers.discarding()).statusCode())
                    .isEqualTo(200);
        }

        assertThat(connections).hasValue(1);
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
    void a_body_that_does_not_tell_its_size_counts_as_it_comes() throws IOException {
        BodyBudget.Share share = budget.share(false);
        BodyBudget.Share other = budget.share(false);
        InputStream body = budget.counted(new ByteArrayInputStream(new byte[2 * SIZE]), share, NO_TIMER);

        assertThat(body.readNBytes(SIZE / 2)).hasSize(SIZE / 2);
        InputStream second = budget.counted(new ByteArrayInputStream(new byte[SIZE]), other, NO_TIMER);
        assertThat(second.readNBytes(SIZE / 2)).hasSize(SIZE / 2);
        assertThat(refusal(second)).isEqualTo(JobFailure.Code.BROKER_UNAVAILABLE);
        other.giveBack();
        assertThat(body.readNBytes(SIZE / 2)).hasSize(SIZE / 2);
        assertThat(refusal(body)).isEqualTo(JobFailure.Code.TOO_LARGE);
    }

    @Test
    void what_is_announced_counts_and_what_comes_beyond_it_too() throws IOException {
        BodyBudget.Share liar = budget.share(false);
        liar.announced("10");

        InputStream body = budget.counted(new ByteArrayInputStream(new byte[SIZE + 1]), liar, NO_TIMER);

        assertThat(body.readNBytes(SIZE)).hasSize(SIZE);
        assertThat(refusal(body)).isEqualTo(JobFailure.Code.TOO_LARGE);
        assertThatThrownBy(() -> budget.share(false).announced(Integer.toString(SIZE + 1)))
                .isInstanceOf(ApiException.class)
                .hasMessageContaining("penstock.kafka.max-record");
    }

    @Test
    void a_parsed_body_that_is_kept_counts_by_its_values() throws Exception {
        assertThat(BodyBudget.values(
                        Json.parseStrict("{\"a\":[[],[],{\"b\":1}],\"c\":\"text\"}".getBytes(StandardCharsets.UTF_8))))
                .isEqualTo(7);
        BodyBudget.Share share = budget.share(false);
        share.take(SIZE);

        assertThatThrownBy(() -> budget.share(false).take(1)).isInstanceOf(ApiException.class);
        share.giveBack();
        budget.share(false).take(1);
    }

    @Test
    void of_many_lines_only_the_largest_is_held() throws IOException {
        BodyBudget.Share lines = budget.share(true);
        lines.announced(Integer.toString(10 * SIZE));

        InputStream body = budget.counted(new ByteArrayInputStream(new byte[11 * SIZE]), lines, NO_TIMER);

        assertThat(body.readNBytes(10 * SIZE)).hasSize(10 * SIZE);
        assertThatThrownBy(body::read)
                .isInstanceOf(ApiException.class)
                .hasMessageContaining("quarkus.http.limits.max-body-size");
    }

    @Test
    void a_body_that_trickles_is_waited_for_no_longer_than_all_of_it() {
        BodyBudget hasty = new BodyBudget(SIZE, SIZE, SIZE, Duration.ofMillis(50));
        InputStream trickle = new InputStream() {
            @Override
            public int read() {
                LockSupport.parkNanos(Duration.ofMillis(5).toNanos());
                return ' ';
            }

            @Override
            public int read(byte[] into, int offset, int length) {
                into[offset] = (byte) read();
                return 1;
            }
        };

        assertThatThrownBy(() ->
                        hasty.counted(trickle, hasty.share(false), NO_TIMER).readAllBytes())
                .isInstanceOf(ApiException.class)
                .hasMessageContaining("penstock.api.body-timeout");
    }

    @Test
    void a_read_that_waits_for_a_body_is_interrupted_in_time_and_the_thread_goes_on() throws IOException {
        BodyBudget hasty = new BodyBudget(SIZE, SIZE, SIZE, Duration.ofMillis(50));
        try (PipedOutputStream sender = new PipedOutputStream();
                PipedInputStream silent = new PipedInputStream(sender)) {
            sender.write('x');
            InputStream body = hasty.counted(silent, hasty.share(false), (delay, task) -> {
                long timer = vertx.setTimer(Math.max(1, delay.toMillis()), _ -> task.run());
                return () -> vertx.cancelTimer(timer);
            });

            assertThat(body.read()).isEqualTo('x');
            assertThatThrownBy(body::read)
                    .isInstanceOf(ApiException.class)
                    .hasMessageContaining("penstock.api.body-timeout");
            assertThat(Thread.interrupted()).isFalse();
        }
    }

    private static JobFailure.Code refusal(InputStream body) throws IOException {
        try {
            var _ = body.read();
            throw new AssertionError("was read");
        } catch (ApiException e) {
            return e.failure().code();
        }
    }

    /**
     * The second half of the body comes when the refusal is there. If the server closed the connection with that half
     * unread, the connection would be reset.
     */
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
        listen(Duration.ofMillis(300));
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
