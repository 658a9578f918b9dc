package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.Rig;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.wire.Json;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The bodies, the connections and the unread events of all callers together are bounded. */
@Tag("long")
class CallerBoundsIT {
    private static final Duration PATIENCE = Duration.ofMinutes(3);
    private static final int MEGABYTE = 1 << 20;

    private Rig rig;

    @BeforeEach
    void start() {
        rig = Rig.start("callers");
    }

    @AfterEach
    void stop() {
        rig.close();
    }

    @Test
    void the_bodies_of_all_calls_together_are_bounded() throws InterruptedException, IOException {
        PenstockProcess replica = rig.start(rig.replica("replica", 4).runtimeOption("-Xmx256m"));
        // an eighth of the heap is for bodies: the fifth of 8 MiB each, announced and never sent, is too much
        List<Socket> announced = new ArrayList<>();
        try (ExecutorService readers = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int i = 0; i < 5; i++) {
                announced.add(announce(replica));
            }
            // one of them, whichever was seen last
            String refusal = (String) CompletableFuture.anyOf(announced.stream()
                            .map(socket -> CompletableFuture.supplyAsync(() -> everything(socket), readers))
                            .toArray(CompletableFuture[]::new))
                    .join();
            assertThat(refusal).startsWith("HTTP/1.1 503").containsIgnoringCase("retry-after");
            assertThat(Rest.get(replica.url(), "/v1/nodes").status()).isEqualTo(200);
            for (Socket socket : announced) {
                socket.close();
            }
        }
        Rest.Reply accepted = submitUntilAccepted(replica);
        assertThat(accepted.status()).as(accepted.body()).isEqualTo(202);
    }

    private static Socket announce(PenstockProcess replica) throws IOException {
        Socket socket = connect(replica.url());
        String head = "Content-Type: application/json\r\nContent-Length: " + 8 * MEGABYTE;
        socket.getOutputStream()
                .write("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n{"
                        .formatted(head)
                        .getBytes(StandardCharsets.US_ASCII));
        return socket;
    }

    /** Until it is closed. */
    private static String everything(Socket socket) {
        try {
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            return String.valueOf(e.getMessage());
        }
    }

    private static Rest.Reply submitUntilAccepted(PenstockProcess replica) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        String job = "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
        Rest.Reply answer = Rest.post(replica.url(), "/v1/jobs", "application/json", job);
        while (answer.status() == 503 && System.nanoTime() < until) {
            answer = Rest.post(replica.url(), "/v1/jobs", "application/json", job);
        }
        return answer;
    }

    @Test
    void connections_over_the_limit_are_refused_at_once() throws InterruptedException, IOException {
        PenstockProcess replica =
                rig.start(rig.replica("replica", 4).config("quarkus.http.limits.max-connections", "20"));
        List<Socket> open = new ArrayList<>();
        try {
            for (int i = 0; i < 20; i++) {
                Socket socket = connect(replica.url());
                assertThat(status(socket)).isEqualTo("HTTP/1.1 200 OK");
                open.add(socket);
            }
            try (Socket one = connect(replica.url())) {
                assertThat(status(one)).as("closed without a word").isEmpty();
            }
            open.removeLast().close();
            long until = System.nanoTime() + PATIENCE.toNanos();
            String status = "";
            while (status.isEmpty() && System.nanoTime() < until) {
                try (Socket one = connect(replica.url())) {
                    status = status(one);
                }
            }
            assertThat(status).isEqualTo("HTTP/1.1 200 OK");
        } finally {
            for (Socket socket : open) {
                socket.close();
            }
        }
    }

    @Test
    void watchers_that_do_not_read_hold_up_nothing_and_can_go_on_later() throws InterruptedException, IOException {
        PenstockProcess replica = rig.start(rig.replica("replica", 4).runtimeOption("-Xmx256m"));
        rig.fake().script(_ -> Answer.tokens(60_000).firstTokenAfter(Duration.ofSeconds(2)));
        rig.send(List.of("talker"), "x");
        List<Socket> deaf = new ArrayList<>();
        try {
            for (int i = 0; i < 100; i++) {
                Socket socket = new Socket();
                socket.setReceiveBufferSize(4_096);
                socket.connect(new InetSocketAddress(
                        InetAddress.getLoopbackAddress(), replica.url().getPort()));
                socket.getOutputStream()
                        .write(
                                "GET /v1/jobs/talker/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
                                        .getBytes(StandardCharsets.US_ASCII));
                deaf.add(socket);
            }
            rig.replies().awaitOutcomes(List.of("talker"), PATIENCE);
            assertThat(replica.process().isAlive()).isTrue();

            StringBuilder text = new StringBuilder();
            String last = null;
            boolean over = false;
            while (!over) {
                try (Rest.Events events = Rest.events(replica.url(), "talker", last)) {
                    Rest.SentEvent event;
                    while (!over && (event = events.next()) != null) {
                        last = event.id();
                        over = event.name().equals("completed");
                        if (event.name().equals("chunk")) {
                            text.append(chunk(event));
                        }
                    }
                }
            }
            assertThat(text.toString()).isEqualTo(rig.replies().completedText("talker"));
        } finally {
            for (Socket socket : deaf) {
                socket.close();
            }
        }
    }

    private static String chunk(Rest.SentEvent event) {
        JsonNode json = Objects.requireNonNull(Json.parseLenient(event.data()));
        return json.path("choices").path(0).path("delta").path("content").asText("");
    }

    private static Socket connect(URI url) throws IOException {
        return new Socket(url.getHost(), url.getPort());
    }

    /** The first line of an answer; empty where the connection was closed. */
    private static String status(Socket socket) {
        try {
            socket.getOutputStream()
                    .write("GET /v1/nodes HTTP/1.1\r\nHost: localhost\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            StringBuilder line = new StringBuilder();
            InputStream in = socket.getInputStream();
            int next = in.read();
            while (next >= 0 && next != '\r') {
                line.append((char) next);
                next = in.read();
            }
            return line.toString();
        } catch (IOException _) {
            return "";
        }
    }
}
