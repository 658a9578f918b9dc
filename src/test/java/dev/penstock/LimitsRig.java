package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.testkit.EndlessServer;
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
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;

/**
 * One replica with a heap of 256 MiB, and callers that keep to no rule. After each test the replica is up, and its log has no
 * error.
 */
abstract class LimitsRig {
    static final Duration PATIENCE = Duration.ofMinutes(1);
    static final int MEGABYTE = 1 << 20;

    static Rig rig;
    static PenstockProcess replica;

    final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();

    @BeforeAll
    static void start() throws InterruptedException {
        rig = Rig.start("limits");
        replica = rig.start(rig.replica("replica", 4)
                .runtimeOption("-Xmx256m")
                .config("penstock.api.max-lines", "500")
                .config("penstock.api.body-timeout", "10s")
                .config("penstock.api.header-timeout", "2s")
                .config("penstock.answers.max-line", "4M")
                .config("penstock.answers.max-embeddings", "4M")
                .config("penstock.answers.max-pull", "4M")
                .config("penstock.api.max-streams", "30")
                .config("penstock.api.max-streams-bytes", "2M"));
    }

    @AfterAll
    static void stop() {
        rig.close();
    }

    /** After each try: no memory ran out, and the next call is answered. */
    @AfterEach
    void goes_on() throws InterruptedException {
        threads.close();
        assertThat(replica.process().isAlive()).isTrue();
        assertThat(Rest.get(replica.url(), "/v1/nodes").status()).isEqualTo(200);
        assertThat(Rest.get(replica.managementUrl(), "/q/health/live").status()).isEqualTo(200);
        assertThat(replica.process().output().stream().filter(line -> line.contains(" ERROR ")))
                .as("what callers and servers do is no error of the service")
                .isEmpty();
    }

    /** Until it is hung up on. */
    static void trickle(Socket socket) {
        try {
            while (true) {
                write(socket, "x");
                TimeUnit.MILLISECONDS.sleep(50);
            }
        } catch (IOException | InterruptedException _) {
            // that is the end
        }
    }

    /** The job {@code talker}, whose answer has 4 MB. */
    static void talk() throws InterruptedException {
        if (rig.replies().count("talker", EventMark.Kind.COMPLETED) == 0) {
            // more than the 4 MB that a kernel may keep for a caller that reads nothing
            rig.fake().script(_ -> Answer.tokens(Collections.nCopies(3_500, "a".repeat(2_000))));
            rig.send(List.of("talker"), "x");
            rig.replies().awaitOutcomes(List.of("talker"), PATIENCE);
            rig.fake().script(_ -> Answer.tokens(1));
        }
    }

    /** Callers that read nothing of the events that they ask for. */
    static void listen(int callers, List<Socket> open) throws IOException {
        for (int i = 0; i < callers; i++) {
            Socket socket = new Socket();
            open.add(socket);
            socket.setReceiveBufferSize(4_096);
            socket.setSoTimeout((int) PATIENCE.toMillis());
            socket.connect(
                    new InetSocketAddress(replica.url().getHost(), replica.url().getPort()));
            write(
                    socket,
                    "GET /v1/jobs/talker/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n");
        }
    }

    static void close(List<Socket> sockets) throws IOException {
        for (Socket socket : sockets) {
            socket.close();
        }
    }

    static void submitManyWithMetadata() throws InterruptedException {
        if (rig.replies().count("many-0", EventMark.Kind.COMPLETED) > 0) {
            return;
        }
        StringBuilder pairs = new StringBuilder();
        for (int i = 0; i < 16; i++) {
            pairs.append(i == 0 ? "" : ",").append("\"%064d\":\"%s\"".formatted(i, "漢".repeat(512)));
        }
        String line = "{\"prompt\":\"x\",\"metadata\":{%s},\"job\":{\"id\":\"many-%%d\"}}\n".formatted(pairs);
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 100; i++) {
            lines.append(line.formatted(i));
        }
        Rest.Reply taken = Rest.post(replica.url(), "/v1/jobs", "application/x-ndjson", lines.toString());
        assertThat(taken.status()).as(taken.body()).isEqualTo(202);
        rig.replies().awaitOutcomes(Rig.ids("many", 100), PATIENCE);
    }

    static Rest.Reply posted(String body) {
        try {
            return Rest.post(replica.url(), "/v1/jobs", "application/json", body);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    static String content(Rest.SentEvent event) {
        JsonNode json = Objects.requireNonNull(Json.parseLenient(event.data()));
        return json.path("choices").path(0).path("delta").path("content").asText("");
    }

    static String failed(EndlessServer server, String name) throws InterruptedException {
        return failed(server, name, "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":false");
    }

    /** The result of a job at a node that is this server. */
    static String failed(EndlessServer server, String name, String asked) throws InterruptedException {
        String node = "{\"name\":\"%s\",\"backend\":\"openai-compatible\",\"model\":\"m\",\"url\":\"%s\"}"
                .formatted(name, server.url());
        Rest.Reply added = Rest.post(replica.url(), "/v1/nodes?force=true", "application/json", node);
        assertThat(added.status()).as(added.body()).isEqualTo(201);
        String job = "{%s,\"model\":\"m\",\"job\":{\"node\":\"%s\",\"max_attempts\":1,\"id\":\"%s\"}}"
                .formatted(asked, name, name);
        Rest.Reply ended = Rest.post(replica.url(), "/v1/jobs", "application/json", job, "Prefer", "wait=30");
        var _ = Rest.delete(replica.url(), "/v1/nodes/" + name);
        return ended.body();
    }

    static InputStream repeated(byte[] piece, int times) {
        InputStream all = InputStream.nullInputStream();
        for (int i = 0; i < times; i++) {
            all = new SequenceInputStream(new ByteArrayInputStream(piece), all);
        }
        return all;
    }

    /** Sends all of a body, whatever answer comes meanwhile. */
    String chunked(String type, int pieces, IntFunction<byte[]> piece) throws IOException {
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

    static Socket connect() throws IOException {
        Socket socket = new Socket(replica.url().getHost(), replica.url().getPort());
        socket.setSoTimeout((int) PATIENCE.toMillis());
        return socket;
    }

    static void write(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
    }

    /** Until it is closed. */
    static String everything(Socket socket) {
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
