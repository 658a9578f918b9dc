package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.EndlessServer;
import dev.penstock.testkit.Http2Frames;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.Rest;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The rows of docs/limits.md against one replica with a heap of 256 MiB: each is tried, and the replica stays up. */
class LimitsIT extends LimitsRig {
    private static final String LINE = "{\"prompt\":\"x\"}\n";

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
    void heads_that_are_too_long_are_refused() {
        assertThat(Rest.raw(replica.url(), "GET /v1/nodes HTTP/1.1", "Host: 127.0.0.1", "X: " + "x".repeat(21_000)))
                .contains(" 431 ");
        assertThat(Rest.raw(replica.url(), "GET /v1/nodes?" + "x".repeat(4_100) + " HTTP/1.1", "Host: 127.0.0.1"))
                .contains(" 414 ");
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
            close(open);
        }
    }

    /** Answers of some MB each, which would not fit into the heap together. */
    @Test
    void streams_that_read_nothing_lose_their_places() throws Exception {
        talk();
        List<Socket> deaf = new ArrayList<>();
        try {
            listen(160, deaf);

            // a caller that reads is served as soon as one that does not read has made room
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
            close(deaf);
        }
        allHaveLeft();
    }

    /** Fewer than the limit, and each smaller than its limit: together it is too much. */
    @Test
    void streams_that_read_nothing_hold_no_more_together_than_all_may() throws Exception {
        talk();
        int streams = 20;
        List<Socket> deaf = new ArrayList<>();
        try {
            long until = System.nanoTime() + PATIENCE.toNanos();
            while (deaf.size() < streams) {
                assertThat(System.nanoTime()).isLessThan(until);
                listen(1, deaf);
                byte[] head = deaf.getLast().getInputStream().readNBytes(12);
                if (!new String(head, StandardCharsets.US_ASCII).equals("HTTP/1.1 200")) {
                    // the streams of another test may not be gone yet
                    deaf.removeLast().close();
                }
            }
            Metrics.await(replica, active(), "some were closed", open -> open < streams, PATIENCE);
        } finally {
            close(deaf);
        }
        allHaveLeft();
    }

    private static String active() {
        return "http_server_active_requests{server_port=\"%d\",url_scheme=\"http\"}"
                .formatted(replica.url().getPort());
    }

    private static void allHaveLeft() throws InterruptedException {
        Metrics.await(replica, active(), "all have left", open -> open == 0, PATIENCE);
    }

    /**
     * One job with a large answer, and a list of jobs with the largest metadata; by callers whose windows stay shut.
     */
    @ParameterizedTest
    @ValueSource(strings = {"/v1/jobs/talker", "/v1/jobs?limit=100"})
    void large_answers_that_are_not_read_take_no_more_than_their_share(String path) throws Exception {
        talk();
        submitManyWithMetadata();
        List<Socket> deaf = new ArrayList<>();
        Set<Boolean> answered = new HashSet<>();
        try {
            for (int i = 0; i < 200; i++) {
                Socket socket = connect();
                deaf.add(socket);
                // a refusal fits into the window, an answer does not
                socket.getOutputStream().write(Http2Frames.preface(1_000));
                socket.getOutputStream().write(Http2Frames.get(1, path));
            }
            for (Socket socket : deaf) {
                Http2Frames.Frame frame = Http2Frames.read(socket.getInputStream());
                while (frame.type() != Http2Frames.HEADERS) {
                    frame = Http2Frames.read(socket.getInputStream());
                }
                answered.add(frame.isOk());
            }
            assertThat(answered).as("some are answered, some refused").hasSize(2);
            Rest.Reply refused = Rest.get(replica.url(), path);
            assertThat(refused.status()).isEqualTo(503);
            assertThat(refused.headers().firstValue("Retry-After")).isPresent();
            assertThat(refused.body()).contains("the answers of the calls under way");
        } finally {
            close(deaf);
        }

        // what they held is given back
        long until = System.nanoTime() + PATIENCE.toNanos();
        Rest.Reply reply = Rest.get(replica.url(), path);
        while (reply.status() != 200) {
            assertThat(System.nanoTime()).as(reply.body()).isLessThan(until);
            reply = Rest.get(replica.url(), path);
        }
        assertThat(reply.body()).hasSizeGreaterThan(MEGABYTE / 2);
    }

    /** The tokens of one document would be 140 MB, if they were read. */
    @Test
    void documents_of_many_tokens_are_refused() throws Exception {
        String body = "{\"prompt\":\"x\",\"stop\":[" + "[],".repeat(2_700_000) + "[]]}";
        List<CompletableFuture<Rest.Reply>> answers = Stream.generate(
                        () -> CompletableFuture.supplyAsync(() -> posted(body), threads))
                .limit(3)
                .toList();

        for (CompletableFuture<Rest.Reply> answer : answers) {
            assertThat(answer.get().status()).as(answer.get().body()).isEqualTo(400);
            assertThat(answer.get().body()).contains("more than 1,000,000 values");
        }
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
            server.says(200, "application/json", "{\"data\":[{\"index\":0,\"embedding\":[0.1", ",0.1");
            assertThat(failed(server, "embeddings", "\"input\":\"x\"")).contains("penstock.answers.max-embeddings");
        }
    }

    @Test
    void a_pull_that_never_ends_is_cut_off_by_name() throws Exception {
        String status = "{\"status\":\"pulling\",\"more\":\"%s\"}\n".formatted("x".repeat(1_000));
        try (EndlessServer server = new EndlessServer().lists("m").says(200, "application/x-ndjson", "", status)) {
            String node = "{\"name\":\"pull\",\"backend\":\"ollama\",\"url\":\"%s\"}".formatted(server.url());
            Rest.Reply added = Rest.post(replica.url(), "/v1/nodes?force=true", "application/json", node);
            assertThat(added.status()).as(added.body()).isEqualTo(201);

            Rest.Reply told =
                    Rest.post(replica.url(), "/v1/nodes/pull/models", "application/json", "{\"model\":\"m\"}");
            var _ = Rest.delete(replica.url(), "/v1/nodes/pull");

            assertThat(told.body())
                    .contains(
                            "event:failed",
                            "penstock.answers.max-pull",
                            server.url().toString());
        }
    }
}
