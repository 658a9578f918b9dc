package dev.penstock.node.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.Cutter;
import dev.penstock.node.protocol.answer.LineSplitter;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.testkit.HostileBytes;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Recording;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.RequestOptions;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Any answer of a server ends or fails. No job waits for ever because of a parser. */
@Timeout(120)
class HostileAnswersTest {
    private static final long SOON_NANOS = TimeUnit.SECONDS.toNanos(20);
    /** So many answers of each backend are changed. */
    private static final int CHANGED = Integer.getInteger("penstock.test.changed", 24);

    private static final String DIGITS = "99999999999999999999999";

    private static final Map<Backend, List<String>> RECORDED = new EnumMap<>(Map.of(
            Backend.VLLM,
            List.of(
                    "vllm/chat-stream-usage",
                    "vllm/tool-required-stream",
                    "vllm/think-stream",
                    "vllm/err-queue-full-stream"),
            Backend.LLAMA_SERVER,
            List.of("llama-server/chat-stream-usage", "llama-server/err-prompt-too-long-stream"),
            Backend.OLLAMA,
            List.of(
                    "ollama/chat-stream",
                    "ollama/tools-go-stream",
                    "ollama/kill-runner-stream",
                    "ollama/err-max-queue"),
            Backend.ANTHROPIC,
            List.of(
                    "llama-server/anthropic-messages-stream",
                    "vllm/anthropic-tool-stream",
                    "vllm/err-queue-full-anthropic")));

    private static FakeUpstream fake;
    private static Vertx vertx;

    @BeforeAll
    static void start() {
        fake = FakeUpstream.start();
        vertx = Vertx.vertx();
    }

    @AfterAll
    static void stop() {
        fake.close();
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    private static NodeClient client(Backend backend) {
        return new NodeClient(NodeSettings.at(backend, URI.create(fake.url())), vertx, Duration.ofSeconds(2));
    }

    private static Prompt prompt() {
        return new Prompt(Task.CHAT, "tiny", Map.of("messages", List.of()), Map.of(), Map.of(), 0, null);
    }

    /** Reads to the end and returns the last event. */
    private static TokenEvent last(TokenStream stream) throws InterruptedException {
        while (true) {
            TokenEvent event = stream.next(SOON_NANOS, 0);
            if (event == null || event instanceof TokenEvent.End || event instanceof TokenEvent.Broken) {
                return Objects.requireNonNull(event, "the attempt waits");
            }
        }
    }

    private static JobFailure failure(Backend backend) throws Exception {
        try (NodeClient client = client(backend);
                TokenStream stream = client.stream(prompt())) {
            return ((TokenEvent.Broken) last(stream)).failure();
        }
    }

    /** A number that exceeds a long, in the text and in the field of a refusal. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "VLLM | {\"error\":{\"message\":\"maximum context length is " + DIGITS
                        + " tokens. However, your prompt contains at least 2049 input tokens\",\"code\":400}}",
                "VLLM | {\"error\":{\"message\":\"maximum context length is 2048 tokens, you requested " + DIGITS
                        + " tokens\",\"code\":400}}",
                "LLAMA_SERVER | {\"error\":{\"code\":400,\"type\":\"exceed_context_size_error\",\"message\":\"the request exceeds the available context size\",\"n_ctx\":1e9000,\"n_prompt_tokens\":"
                        + DIGITS + "}}",
                "OLLAMA | {\"error\":\"maximum context length is " + DIGITS + " tokens\"}"
            })
    void a_context_of_any_length_is_exceeded(Backend backend, String body) throws Exception {
        fake.script(_ -> Answer.document(400, body));

        assertThat(failure(backend).code()).isEqualTo(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "1e999",
                "-1e999",
                "NaN",
                DIGITS,
                "Fri, 31 Dec 999999999 23:59:59 GMT",
                "Fri, 32 Foo 2026 25:61:61 XXX",
                "''"
            })
    void a_refusal_is_reported_with_any_retry_after(String value) throws Exception {
        String body = "{\"error\":{\"message\":\"busy\"}}";
        fake.script(_ -> Answer.raw(
                        "HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nRetry-After: %s\r\nretry-after-ms: %s\r\nDate: %s\r\nContent-Length: %d\r\n\r\n%s"
                                .formatted(value, value, value, body.length(), body)
                                .getBytes(StandardCharsets.ISO_8859_1))
                .closing());

        JobFailure failure = failure(Backend.VLLM);

        assertThat(failure.code()).isEqualTo(JobFailure.Code.NODE_OVERLOADED);
    }

    @ParameterizedTest
    @EnumSource(names = {"VLLM", "LLAMA_SERVER", "OLLAMA", "ANTHROPIC"})
    void an_answer_with_any_bytes_changed_ends_or_fails(Backend backend) throws Exception {
        Random random = new Random(backend.wireName().hashCode());
        int ended = 0;
        int failed = 0;
        try (NodeClient client = client(backend)) {
            for (int i = 0; i < CHANGED; i++) {
                List<String> names = Objects.requireNonNull(RECORDED.get(backend));
                byte[] bytes = changed(Recording.of(names.get(i % names.size())), random);
                fake.script(_ -> Answer.raw(bytes).closing());
                try (TokenStream stream = client.stream(prompt())) {
                    if (last(stream) instanceof TokenEvent.End) {
                        ended++;
                    } else {
                        failed++;
                    }
                }
            }
        }
        System.out.printf("%s: of %d changed answers %d ended and %d failed%n", backend, CHANGED, ended, failed);
        assertThat(failed).isGreaterThan(CHANGED / 4);
    }

    /** Changes the body in most cases, and the head in some. The length of the body fits. */
    private static byte[] changed(Recording recording, Random random) {
        if (random.nextInt(10) == 0) {
            return HostileBytes.spliced(recording.bytes(), random);
        }
        byte[] changed = HostileBytes.spliced(recording.body().getBytes(StandardCharsets.UTF_8), random);
        String head = "HTTP/1.1 %d OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
                .formatted(
                        recording.status(),
                        recording.headers().getOrDefault("content-type", "text/event-stream"),
                        changed.length);
        return Buffer.buffer(head).appendBytes(changed).getBytes();
    }

    /** A parser throws when it gets a line, at the end, or in the thread of the run. */
    @ParameterizedTest
    @EnumSource
    void an_exception_anywhere_in_a_parser_breaks_the_answer_and_names_the_parser(Throwing.Where where)
            throws Exception {
        fake.script(_ -> Answer.of("a", "b"));
        NodeSettings node = NodeSettings.at(Backend.VLLM, URI.create(fake.url()));
        NodeErrors errors = new NodeErrors(node, WireProtocol.of(node));
        try (UpstreamStream stream = new UpstreamStream(
                        errors, vertx, prompt(), new Throwing(where), List.of(), Settings.Answers.USUAL);
                Connections connections = new Connections(vertx, new HttpClientOptions())) {
            send(connections, stream);

            JobFailure failure = ((TokenEvent.Broken) last(stream)).failure();

            assertThat(failure.code()).isEqualTo(JobFailure.Code.STREAM_BROKEN);
            assertThat(failure.message()).contains("sent what cannot be read: its parser Throwing failed");
        }
    }

    private static void send(Connections connections, UpstreamStream stream) {
        URI url = URI.create(fake.url());
        RequestOptions options = new RequestOptions()
                .setMethod(HttpMethod.POST)
                .setHost(url.getHost())
                .setPort(url.getPort())
                .setURI("/v1/chat/completions");
        Buffer body = Buffer.buffer(
                "{\"model\":\"tiny\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
        connections.send(options, body, false, new Connections.Exchange() {
            @Override
            public void connected(HttpClientRequest request) {
                stream.connected(request, null);
            }

            @Override
            public void connectFailed(Throwable cause) {
                stream.connectFailed(cause);
            }

            @Override
            public void answered(HttpClientResponse response) {
                stream.answered(response);
            }

            @Override
            public void connectionFailed(Throwable cause) {
                stream.connectionFailed(cause);
            }

            @Override
            public boolean isClosed() {
                return stream.isClosed();
            }
        });
    }

    /** Fails at one place. */
    record Throwing(Where where) implements AnswerParser {
        enum Where {
            CUTTER,
            LINE,
            END,
            DOCUMENT
        }

        @Override
        public void line(String line, Consumer<TokenEvent> events) {
            if (where == Where.LINE) {
                throw new StackOverflowError("of the test");
            }
        }

        @Override
        public Cutter cutter(int longest, Consumer<TokenEvent> events) {
            if (where == Where.CUTTER) {
                throw new IllegalStateException("of the test");
            }
            return new LineSplitter(longest, line -> line(line, events));
        }

        @Override
        public boolean readsAtEnd() {
            return where == Where.DOCUMENT;
        }

        @Override
        public void end(Consumer<TokenEvent> events) {
            throw new NumberFormatException("of the test");
        }
    }
}
