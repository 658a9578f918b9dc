package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.EndlessServer;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.wire.Json;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.SequenceInputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The rows of docs/limits.md against one replica with a heap of 256 MiB: each is tried, and the replica goes on. */
class LimitsIT {
    private static final Duration PATIENCE = Duration.ofMinutes(1);
    private static final int MEGABYTE = 1 << 20;
    private static final String LINE = "{\"prompt\":\"x\"}\n";

    private static Rig rig;
    private static PenstockProcess replica;

    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();

    @BeforeAll
    static void start() throws InterruptedException {
        rig = Rig.start("limits");
        replica = rig.start(rig.replica("replica", 4)
                .runtimeOption("-Xmx256m")
                .config("penstock.api.max-lines", "500")
                .config("penstock.api.body-timeout", "10s")
                .config("penstock.api.header-timeout", "2s")
                .config("penstock.answers.max-line", "4M")
                .config("penstock.api.max-streams", "30"));
    }

    @AfterAll
    static void stop() {
        rig.close();
    }

    /** Whatever was tried: nothing ran out of memory, and the next call is answered. */
    @AfterEach
    void goes_on() throws InterruptedException {
        threads.close();
        assertThat(replica.process().isAlive()).isTrue();
        assertThat(Rest.get(replica.url(), "/v1/nodes").status()).isEqualTo(200);
        assertThat(Rest.get(replica.managementUrl(), "/q/health/live").status()).isEqualTo(200);
    }

    @Test
    void of_two_and_a_half_million_lines_as_many_are_taken_as_the_limit_says() throws IOException {
        int lines = 2_500_000;
        byte[] thousand = LINE.repeat(1_000).getBytes(StandardCharsets.UTF_8);

        String answer = chunked("application/x-ndjson", lines / 1_000, _ -> thousand);

        List<String> told = answer.lines().filter(line -> line.startsWith("{")).toList();
        assertThat(answer).startsWith("HTTP/1.1 202");
        assertThat(told).hasSize(501);
        assertThat(told.subList(0, 500)).allMatch(line -> line.contains("\"status\":\"queued\""));
        JsonNode last = Objects.requireNonNull(Json.parseLenient(told.getLast()));
        assertThat(last.at("/error/code").asText()).isEqualTo("too_large");
        assertThat(last.at("/error/message").asText()).contains("penstock.api.max-lines");
        assertThat(last.path("line").asInt()).isEqualTo(501);
    }

    @Test
    void a_body_without_a_length_is_counted_as_it_comes() throws IOException {
        byte[] piece = "x".repeat(MEGABYTE).getBytes(StandardCharsets.UTF_8);

        String answer = chunked("application/json", 60, _ -> piece);

        assertThat(answer).startsWith("HTTP/1.1 413").contains("too_large", "penstock.kafka.max-record");
    }

    @ParameterizedTest
    @EnumSource(HttpClient.Version.class)
    void as_many_bodies_without_a_length_as_there_are_threads_take_no_more_than_their_share(HttpClient.Version version)
            throws Exception {
        byte[] piece = "x".repeat(MEGABYTE).getBytes(StandardCharsets.UTF_8);
        try (HttpClient client = HttpClient.newBuilder().version(version).build()) {
            HttpRequest.Builder to = HttpRequest.newBuilder(replica.url().resolve("/v1/jobs"))
                    .header("Content-Type", "application/json")
                    .timeout(PATIENCE);
            // the first call makes it HTTP/2
            assertThat(client.send(to.copy().GET().build(), HttpResponse.BodyHandlers.discarding())
                            .version())
                    .isEqualTo(version);
            List<CompletableFuture<HttpResponse<String>>> answers = Stream.generate(() -> client.sendAsync(
                            to.copy()
                                    .POST(HttpRequest.BodyPublishers.ofInputStream(() -> repeated(piece, 20)))
                                    .build(),
                            HttpResponse.BodyHandlers.ofString()))
                    .limit(20)
                    .toList();

            for (CompletableFuture<HttpResponse<String>> answer : answers) {
                assertThat(answer.get().statusCode()).as(answer.get().body()).isIn(413, 503);
            }
            assertThat(answers)
                    .anySatisfy(answer ->
                            assertThat(answer.get().body()).contains("too_large", "penstock.kafka.max-record"));
            HttpResponse<String> announced = client.send(
                    to.copy()
                            .POST(HttpRequest.BodyPublishers.ofByteArray(new byte[9 * MEGABYTE]))
                            .build(),
                    HttpResponse.BodyHandlers.ofString());
            assertThat(announced.statusCode()).isEqualTo(413);
        }
    }

    @Test
    void a_body_that_does_not_come_is_not_waited_for() throws IOException {
        try (Socket socket = connect()) {
            write(
                    socket,
                    "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{");

            assertThat(everything(socket)).startsWith("HTTP/1.1 400").contains("penstock.api.body-timeout");
        }
    }

    @ParameterizedTest
    @CsvSource({"application/json, 413", "text/plain, 415"})
    void the_rest_of_a_body_that_was_refused_is_no_slow_request(String type, int status) throws IOException {
        try (Socket socket = connect()) {
            int size = 9 * MEGABYTE;
            write(
                    socket,
                    "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
                            .formatted(type, size));
            byte[] start = new byte[12];
            assertThat(socket.getInputStream().readNBytes(start, 0, start.length))
                    .isEqualTo(start.length);
            assertThat(new String(start, StandardCharsets.US_ASCII)).isEqualTo("HTTP/1.1 " + status);

            socket.getOutputStream().write(new byte[size]);

            // longer than a request's headers may take
            socket.setSoTimeout(4_000);
            assertThatThrownBy(() -> socket.getInputStream().readAllBytes()).isInstanceOf(SocketTimeoutException.class);
        }
    }

    @Test
    void connections_that_send_nothing_or_a_byte_at_a_time_are_closed() throws Exception {
        List<Socket> open = new ArrayList<>();
        try {
            for (int i = 0; i < 200; i++) {
                Socket socket = connect();
                if (i % 2 == 0) {
                    write(socket, "GET /v1/nodes HT");
                }
                open.add(socket);
            }
            CompletableFuture<Void> trickles = CompletableFuture.runAsync(() -> trickle(open.getFirst()), threads);
            for (Socket socket : open) {
                assertThat(everything(socket)).doesNotContain("HTTP/1.1 2");
            }
            trickles.join();
        } finally {
            for (Socket socket : open) {
                socket.close();
            }
        }
    }

    /** Until it is hung up on. */
    private static void trickle(Socket socket) {
        try {
            while (true) {
                write(socket, "x");
                TimeUnit.MILLISECONDS.sleep(50);
            }
        } catch (IOException | InterruptedException _) {
            // that is the end
        }
    }

    /** An answer each of some MB would not fit into the heap together. */
    @Test
    void streams_that_read_nothing_lose_their_places() throws Exception {
        rig.fake().script(_ -> Answer.tokens(Collections.nCopies(2_000, "a".repeat(2_000))));
        rig.send(List.of("talker"), "x");
        rig.replies().awaitOutcomes(List.of("talker"), PATIENCE);
        List<Socket> deaf = new ArrayList<>();
        try {
            for (int i = 0; i < 160; i++) {
                Socket socket = new Socket();
                socket.setReceiveBufferSize(4_096);
                socket.connect(new InetSocketAddress(
                        replica.url().getHost(), replica.url().getPort()));
                write(
                        socket,
                        "GET /v1/jobs/talker/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n");
                deaf.add(socket);
            }

            // one that reads is served, as soon as one that does not has made room
            StringBuilder text = new StringBuilder();
            String last = null;
            boolean over = false;
            long until = System.nanoTime() + PATIENCE.toNanos();
            while (!over) {
                assertThat(System.nanoTime()).isLessThan(until);
                try (Rest.Events events = Rest.events(replica.url(), "talker", last)) {
                    Rest.SentEvent event;
                    while (events.status() == 200 && !over && (event = events.next()) != null) {
                        last = event.id();
                        over = event.name().equals("completed");
                        text.append(event.name().equals("chunk") ? content(event) : "");
                    }
                } catch (IOException e) {
                    System.out.println("resumed: " + e.getMessage());
                }
            }
            assertThat(text.toString()).isEqualTo(rig.replies().completedText("talker"));
        } finally {
            for (Socket socket : deaf) {
                socket.close();
            }
        }
    }

    private static String content(Rest.SentEvent event) {
        JsonNode json = Objects.requireNonNull(Json.parseLenient(event.data()));
        return json.path("choices").path(0).path("delta").path("content").asText("");
    }

    @Test
    void unknown_methods_and_paths_are_few_labels() throws Exception {
        try (Socket socket = connect()) {
            for (int i = 0; i < 300; i++) {
                write(socket, "BREW%d /v1/pot%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".formatted(i, i));
            }
            write(socket, "GET /v1/pots HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
            assertThat(everything(socket)).contains("HTTP/1.1 404");
        }
        for (int i = 0; i < 50; i++) {
            var _ = Rest.get(replica.url(), "/v1/kettle" + i);
            var _ = Rest.get(replica.url(), "/v1/jobs/unknown-" + i + "?what=" + i);
        }

        List<String> labels = Metrics.text(replica)
                .lines()
                .filter(line -> line.startsWith("http_server_requests_seconds_count"))
                .toList();

        System.out.println(String.join("\n", labels));
        assertThat(labels).isNotEmpty().hasSizeLessThan(40);
        assertThat(String.join("", labels)).doesNotContain("BREW", "pot1", "kettle", "unknown-");
        assertThat(String.join("", labels)).contains("uri=\"/v1/jobs/{id}\"");
    }

    @Test
    void what_is_too_long_is_refused_by_name() throws Exception {
        String name = "n".repeat(300);
        String node = "{\"name\":\"%s\",\"backend\":\"vllm\",\"url\":\"http://127.0.0.1:1\"%s}";
        URI url = replica.url();

        assertThat(Rest.post(url, "/v1/nodes?force=true", "application/json", node.formatted(name, ""))
                        .body())
                .contains("1 to 64 characters");
        assertThat(Rest.post(
                                url,
                                "/v1/nodes?force=true",
                                "application/json",
                                node.formatted("a", ",\"model\":\"" + name + "\""))
                        .body())
                .contains("1 to 256 characters");
        assertThat(Rest.post(
                                url,
                                "/v1/nodes?force=true",
                                "application/json",
                                node.formatted("a", ",\"pool\":\"" + name + "\""))
                        .body())
                .contains("1 to 64 characters");
        assertThat(Rest.post(url, "/v1/jobs", "application/json", "{\"prompt\":\"x\",\"model\":\"%s\"}".formatted(name))
                        .body())
                .contains("up to 256 characters");
        for (String[] call : List.of(
                new String[] {"/v1/jobs?limit=1000000000000"},
                new String[] {"/v1/jobs?after=" + name},
                new String[] {"/v1/jobs?model=" + name + name},
                new String[] {"/v1/jobs?metadata." + name + "=a"},
                new String[] {"/v1/jobs/a/events", "Last-Event-ID", "1.1." + name + ".", "Accept", "text/event-stream"
                })) {
            Rest.Reply reply =
                    Rest.get(url, call[0], List.of(call).subList(1, call.length).toArray(String[]::new));
            assertThat(reply.status()).as(call[0] + reply.body()).isEqualTo(400);
        }
        assertThat(Rest.post(url, "/v1/jobs", "application/json", "{\"prompt\":\"x\"}", "Idempotency-Key", name)
                        .status())
                .isEqualTo(400);
    }

    /** An answer, its line, an error and the list of models without an end. */
    @Test
    void a_model_server_that_never_ends_is_cut_off_by_name() throws Exception {
        String delta =
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}\n\n".formatted("word ".repeat(200));
        try (EndlessServer server =
                new EndlessServer().says(200, "application/json", "{\"data\":[{\"id\":\"a\"}", ",{\"id\":\"a\"}")) {
            String node = "{\"name\":\"endless\",\"backend\":\"openai-compatible\",\"model\":\"m\",\"url\":\"%s\"}"
                    .formatted(server.url());
            Rest.Reply refused = Rest.post(replica.url(), "/v1/nodes", "application/json", node);
            assertThat(refused.body()).contains("penstock.answers.max-listing");
        }
        try (EndlessServer server = new EndlessServer().lists("m").says(200, "text/event-stream", "", delta)) {
            assertThat(failed(server, "answer"))
                    .contains("penstock.answers.max-bytes", server.url().toString());
            server.says(200, "text/event-stream", "data: {\"x\":\"", "x");
            assertThat(failed(server, "line")).contains("penstock.answers.max-line");
        }
    }

    /** What becomes of a job at a node that is this server. */
    private static String failed(EndlessServer server, String name) throws InterruptedException {
        String node = "{\"name\":\"%s\",\"backend\":\"openai-compatible\",\"model\":\"m\",\"url\":\"%s\"}"
                .formatted(name, server.url());
        Rest.Reply added = Rest.post(replica.url(), "/v1/nodes?force=true", "application/json", node);
        assertThat(added.status()).as(added.body()).isEqualTo(201);
        String job =
                "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":false,\"model\":\"m\",\"job\":{\"node\":\"%s\",\"max_attempts\":1,\"id\":\"%s\"}}"
                        .formatted(name, name);
        Rest.Reply ended = Rest.post(replica.url(), "/v1/jobs", "application/json", job, "Prefer", "wait=30");
        var _ = Rest.delete(replica.url(), "/v1/nodes/" + name);
        return ended.body();
    }

    private static InputStream repeated(byte[] piece, int times) {
        InputStream all = InputStream.nullInputStream();
        for (int i = 0; i < times; i++) {
            all = new SequenceInputStream(new ByteArrayInputStream(piece), all);
        }
        return all;
    }

    /** Sends all of a body, whatever is answered meanwhile. */
    private String chunked(String type, int pieces, IntFunction<byte[]> piece) throws IOException {
        try (Socket socket = connect()) {
            CompletableFuture<String> answer = CompletableFuture.supplyAsync(() -> everything(socket), threads);
            OutputStream out = socket.getOutputStream();
            write(
                    socket,
                    "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
                            .formatted(type));
            for (int i = 0; i < pieces && !answer.isDone(); i++) {
                byte[] bytes = piece.apply(i);
                write(socket, Integer.toHexString(bytes.length) + "\r\n");
                out.write(bytes);
                write(socket, "\r\n");
            }
            write(socket, "0\r\n\r\n");
            return answer.join();
        }
    }

    private static Socket connect() throws IOException {
        Socket socket = new Socket(replica.url().getHost(), replica.url().getPort());
        socket.setSoTimeout((int) PATIENCE.toMillis());
        return socket;
    }

    private static void write(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
    }

    /** Until it is closed. */
    private static String everything(Socket socket) {
        StringBuilder all = new StringBuilder();
        try {
            byte[] piece = new byte[65_536];
            int length = socket.getInputStream().read(piece);
            while (length >= 0) {
                all.append(new String(piece, 0, length, StandardCharsets.UTF_8));
                length = socket.getInputStream().read(piece);
            }
        } catch (IOException e) {
            all.append("\n").append(e.getMessage());
        }
        return all.toString();
    }
}
