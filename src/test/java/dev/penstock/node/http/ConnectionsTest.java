package dev.penstock.node.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Tests servers that promise to keep a connection and close it, as bytes on a socket. */
@Timeout(60)
class ConnectionsTest {
    private static Vertx vertx;
    private static final String STREAM = """
            data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}

            data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

            data: [DONE]

            """;

    private final AtomicInteger requests = new AtomicInteger();
    private final AtomicInteger closing = new AtomicInteger();
    private int answers;
    private final ServerSocket server = listen();

    /** What a server does with a connection's requests. */
    private interface Manner {
        /** @return whether it continues with this connection */
        boolean answer(int request, Socket socket) throws IOException;
    }

    @AfterEach
    void stop() throws IOException {
        server.close();
    }

    @BeforeAll
    static void open() {
        vertx = Vertx.vertx();
    }

    @AfterAll
    static void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    /** The server reads the second request of each connection, and closes without a byte. */
    @Test
    void a_request_whose_kept_connection_is_dead_is_sent_again_on_a_new_one() throws Exception {
        serve((request, socket) -> {
            if (request > 0) {
                return false;
            }
            write(socket, "", STREAM);
            return true;
        });
        try (NodeClient client = client(Backend.OPENAI_COMPATIBLE)) {
            // a connection is reused after its answer has ended, which may be after the next request has begun
            for (answers = 0; requests.get() == answers; answers++) {
                assertThat(last(client)).as("answer %d", answers).isInstanceOf(TokenEvent.End.class);
            }
        }
    }

    @Test
    void a_probe_whose_kept_connection_is_dead_is_sent_again_too() throws Exception {
        serve((request, socket) -> {
            if (request > 0) {
                return false;
            }
            write(socket, "", "{}");
            return true;
        });
        try (NodeClient client = client(Backend.OPENAI_COMPATIBLE)) {
            for (int i = 0; i < 5; i++) {
                assertThat(client.get("/v1/models", Duration.ofSeconds(10)).status())
                        .isEqualTo(200);
            }
        }
    }

    @Test
    void on_a_new_connection_it_is_sent_once() throws Exception {
        serve((_, _) -> false);
        try (NodeClient client = client(Backend.OPENAI_COMPATIBLE)) {
            assertThat(last(client))
                    .isInstanceOfSatisfying(
                            TokenEvent.Broken.class,
                            broken -> assertThat(broken.failure().code()).isEqualTo(JobFailure.Code.STREAM_BROKEN));
            assertThatThrownBy(() -> client.get("/v1/models", Duration.ofSeconds(10)))
                    .isInstanceOf(NodeClient.Unreachable.class);
        }
        assertThat(requests).hasValue(2);
    }

    /** The server closes a kept connection when it has the request, and stops listening. */
    @Test
    void a_server_that_is_gone_is_unreachable() throws Exception {
        ServerSocket listening = server;
        serve((request, socket) -> {
            if (request > 0) {
                listening.close();
                return false;
            }
            write(socket, "", STREAM);
            return true;
        });
        try (NodeClient client = client(Backend.OPENAI_COMPATIBLE)) {
            assertThat(untilBroken(client).code()).isEqualTo(JobFailure.Code.NODE_UNREACHABLE);
        }
    }

    /** An answer that has begun is not repeated. */
    @Test
    void an_answer_that_breaks_after_its_beginning_stays_broken() throws Exception {
        serve((request, socket) -> {
            if (request > 0) {
                socket.getOutputStream()
                        .write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ndata: "
                                .getBytes(StandardCharsets.UTF_8));
                return false;
            }
            write(socket, "", STREAM);
            return true;
        });
        try (NodeClient client = client(Backend.OPENAI_COMPATIBLE)) {
            assertThat(untilBroken(client).code()).isEqualTo(JobFailure.Code.STREAM_BROKEN);
        }
        assertThat(requests).as("each was sent once").hasValue(answers);
    }

    @Test
    void llama_server_gets_no_second_request_on_a_connection() throws Exception {
        serve((_, socket) -> {
            write(socket, "Keep-Alive: timeout=5, max=100\r\nServer: llama.cpp\r\n", STREAM);
            return false;
        });
        try (NodeClient llama = client(Backend.LLAMA_SERVER)) {
            for (int i = 0; i < 10; i++) {
                assertThat(last(llama)).isInstanceOf(TokenEvent.End.class);
            }
        }
        assertThat(closing).as("each asks for the end of its connection").hasValue(10);

        try (NodeClient recognised = client(Backend.OPENAI_COMPATIBLE)) {
            for (int i = 0; i < 10; i++) {
                assertThat(last(recognised)).isInstanceOf(TokenEvent.End.class);
            }
        }
        assertThat(closing)
                .as("all but the first, whose answer says what it is")
                .hasValue(19);
    }

    private static ServerSocket listen() {
        try {
            return new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void serve(Manner manner) {
        ServerSocket listening = server;
        Thread.ofVirtual().start(() -> {
            while (!listening.isClosed()) {
                try {
                    Socket socket = listening.accept();
                    Thread.ofVirtual().start(() -> talk(socket, manner));
                } catch (IOException _) {
                    return;
                }
            }
        });
    }

    private void talk(Socket socket, Manner manner) {
        try (socket) {
            int request = 0;
            while (read(socket.getInputStream())) {
                requests.incrementAndGet();
                if (!manner.answer(request++, socket)) {
                    return;
                }
            }
        } catch (IOException _) {
            // the client has closed it
        }
    }

    /** Reads one whole request. */
    private boolean read(InputStream in) throws IOException {
        StringBuilder head = new StringBuilder();
        while (head.indexOf("\r\n\r\n") < 0) {
            int next = in.read();
            if (next < 0) {
                return false;
            }
            head.append((char) next);
        }
        String headers = head.toString().toLowerCase(Locale.ROOT);
        if (headers.contains("connection: close")) {
            closing.incrementAndGet();
        }
        int at = headers.indexOf("content-length:");
        if (at >= 0) {
            int length = Integer.parseInt(
                    headers.substring(at + 15, headers.indexOf('\r', at)).strip());
            in.readNBytes(length);
        }
        return true;
    }

    private static void write(Socket socket, String headers, String body) throws IOException {
        socket.getOutputStream()
                .write(("HTTP/1.1 200 OK\r\n" + headers + "Content-Type: text/event-stream\r\nContent-Length: "
                                + body.length() + "\r\n\r\n" + body)
                        .getBytes(StandardCharsets.UTF_8));
    }

    private NodeClient client(Backend backend) {
        return new NodeClient(
                NodeSettings.at(backend, URI.create("http://127.0.0.1:" + server.getLocalPort())),
                vertx,
                Duration.ofSeconds(5));
    }

    /** Sends requests until a kept connection is reused. */
    private JobFailure untilBroken(NodeClient client) throws Exception {
        while (true) {
            answers++;
            if (last(client) instanceof TokenEvent.Broken(JobFailure failure)) {
                return failure;
            }
        }
    }

    private static TokenEvent last(NodeClient client) throws Exception {
        Prompt prompt = Prompt.of(
                Task.CHAT,
                "m",
                Map.of("messages", List.of(Map.of("role", "user", "content", "Hi"))),
                Map.of(),
                Map.of(),
                0);
        try (TokenStream stream = client.stream(prompt)) {
            while (true) {
                TokenEvent event = stream.next(TimeUnit.SECONDS.toNanos(20), 0);
                if (event == null || event instanceof TokenEvent.End || event instanceof TokenEvent.Broken) {
                    return Objects.requireNonNull(event, "no event in time");
                }
            }
        }
    }
}
