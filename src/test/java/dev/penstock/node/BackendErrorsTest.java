package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.penstock.job.JobFailure;
import dev.penstock.node.http.NodeClient;
import dev.penstock.node.http.NodeErrors;
import dev.penstock.node.program.LlamaPrograms;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.Recording;
import io.vertx.core.Vertx;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Tests the error messages for a server that is not running, lacks the model or refuses the key. docs/backends.md
 * shows the messages.
 */
class BackendErrorsTest {
    private static final String KEY = "sk-not-the-real-one-4711";
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

    @Test
    void the_messages_stand_in_the_docs() throws Exception {
        StringBuilder listing = new StringBuilder();
        for (Backend backend : Backend.values()) {
            if (backend == Backend.LLAMA_CLI) {
                listing.append(ofPrograms());
                continue;
            }
            JobFailure missing = failure(backend, refusal(backend, 404, missingWords(backend)));
            JobFailure key = failure(backend, refusal(backend, 401, keyWords(backend)));
            fake.stop();
            JobFailure away = failure(backend, Answer.of());
            fake.restart();

            assertThat(away.code()).isEqualTo(JobFailure.Code.NODE_UNREACHABLE);
            assertThat(missing.code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
            assertThat(key.code()).isEqualTo(JobFailure.Code.NODE_UNAUTHORIZED);
            for (JobFailure failure : List.of(away, missing, key)) {
                assertThat(failure.message())
                        .doesNotContain(KEY)
                        .doesNotContain("4711")
                        .doesNotContain("\n");
            }
            listing.append(listed(backend, away, missing))
                    .append("      key wrong      %s\n".formatted(key.message()).replace(fake.url(), address(backend)));
        }

        System.out.println(listing);
        assertThat(Files.readString(TestEnvironment.projectDir().resolve("docs").resolve("backends.md")))
                .contains(listing);
    }

    /** Returns the messages as docs/backends.md shows them, in a block of code. */
    private static String listed(Backend backend, JobFailure away, JobFailure missing) {
        return "    %s\n      not running    %s\n      model missing  %s\n"
                .formatted(backend.wireName(), away.message(), missing.message())
                .replace(fake.url(), address(backend));
    }

    @Test
    void when_a_server_wants_to_be_asked_again_is_kept() throws Exception {
        for (int status : List.of(429, 500, 503, 529)) {
            JobFailure said = failure(
                    Backend.OPENAI, refusal(Backend.OPENAI, status, "busy").header("Retry-After", "7"));
            assertThat(said.again().after()).as("%d", status).isEqualTo(Duration.ofSeconds(7));
            assertThat(said.again().loading()).isFalse();
        }
        assertThat(failure(Backend.VLLM, Answer.refuse(503, "busy").header("retry-after-ms", "250"))
                        .again())
                .isEqualTo(new JobFailure.Again(Duration.ofMillis(250), false));
        assertThat(failure(Backend.LLAMA_SERVER, Answer.refuse(503, "Loading model"))
                        .again())
                .isEqualTo(new JobFailure.Again(null, true));
    }

    /** A refusal is read once, however few of the known fields it has. */
    @Test
    @Timeout(20)
    void many_refusals_cost_little() {
        NodeErrors errors = new NodeErrors(
                NodeSettings.at(Backend.VLLM, URI.create("http://gpu")),
                WireProtocol.of(NodeSettings.at(Backend.VLLM, URI.create("http://gpu"))));
        for (int i = 0; i < 2_000; i++) {
            assertThat(errors.refused(503, "{\"code\":%d,\"error\":{\"type\":\"x\"}}".formatted(i), null)
                            .message())
                    .contains("\"code\":" + i);
        }
    }

    @Test
    void a_quota_that_is_used_up_is_no_load() throws Exception {
        String body =
                "{\"error\":{\"message\":\"You exceeded your current quota\",\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\"}}";

        assertThat(failure(Backend.OPENAI, Answer.document(429, body)).code())
                .isEqualTo(JobFailure.Code.NODE_UNAUTHORIZED);
        assertThat(failure(Backend.OPENAI, refusal(Backend.OPENAI, 429, "Rate limit reached"))
                        .code())
                .isEqualTo(JobFailure.Code.NODE_OVERLOADED);
    }

    @Test
    void what_the_real_servers_say_of_models_and_lengths() {
        assertThat(recorded(Backend.LLAMA_SERVER, "llama-server/router-unknown"))
                .satisfies(failure -> assertThat(failure.code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND));
        assertThat(recorded(Backend.VLLM, "vllm/completions-too-long"))
                .satisfies(failure -> assertThat(failure.message())
                        .startsWith("prompt has 2,049 tokens, the node's limit is 2,048: "));
    }

    @Test
    void no_message_shows_what_a_header_holds() {
        NodeSettings node = new NodeSettings(
                "gpu",
                Backend.OPENAI_COMPATIBLE,
                URI.create("http://gpu"),
                "cpu",
                OptionalInt.empty(),
                null,
                null,
                Map.of(
                        "Authorization",
                        "Bearer tok.4711/abcd",
                        "X-Api-Key",
                        "0123456789abcdef",
                        "X-Team",
                        "waterworks"));
        NodeErrors errors = new NodeErrors(node, WireProtocol.of(node));

        for (String said : List.of(
                "waterworks: 'Bearer tok.4711/abcd' is no key",
                "waterworks: tok.4711/abcd",
                "waterworks: 0123456789abcdef",
                "waterworks " + "x".repeat(280) + " 0123456789abcdef",
                "waterworks: 01234567****cdef")) {
            JobFailure refused = errors.refused(401, "{\"error\":\"" + said + "\"}", null);
            JobFailure broken = errors.broken("failed in mid-stream: " + said);

            for (JobFailure failure : List.of(refused, broken)) {
                assertThat(failure.message())
                        .contains("waterworks")
                        .doesNotContain("4711")
                        .doesNotContain("0123")
                        .doesNotContain("cdef");
            }
        }
    }

    @Test
    void no_message_shows_a_key_in_base64() {
        String key = "sk-live/Ünique+4711?abc~~~";
        NodeSettings node = new NodeSettings(
                "gpu", Backend.VLLM, URI.create("http://gpu"), "cpu", OptionalInt.empty(), null, key, Map.of());
        NodeErrors errors = new NodeErrors(node, WireProtocol.of(node));

        for (String around : List.of("", "u:", ":", "user:", "Bearer ", "{\"key\":\"")) {
            byte[] bytes = (around + key + "\"").getBytes(StandardCharsets.UTF_8);
            for (String said : List.of(
                    Base64.getEncoder().encodeToString(bytes),
                    Base64.getUrlEncoder().encodeToString(bytes),
                    Base64.getUrlEncoder().withoutPadding().encodeToString(bytes),
                    Base64.getEncoder().encodeToString(bytes).substring(0, 24),
                    URLEncoder.encode(key, StandardCharsets.UTF_8))) {
                String message = errors.refused(401, "{\"error\":\"waterworks: Basic " + said + " is wrong\"}", null)
                        .message();

                assertThat(message)
                        .as(around + key)
                        .contains("waterworks", "is wrong", "…")
                        .doesNotContain(said);
                for (int i = 0; i + 10 <= said.length(); i++) {
                    assertThat(message).doesNotContain(said.substring(i, i + 10));
                }
            }
        }
        assertThat(errors.refused(401, "{\"error\":\"c29tZXRoaW5nIGVsc2UgYWx0b2dldGhlcg==\"}", null)
                        .message())
                .contains("c29tZXRoaW5nIGVsc2UgYWx0b2dldGhlcg==");
    }

    private static JobFailure recorded(Backend backend, String name) {
        Recording recording = Recording.of(name);
        NodeSettings node = NodeSettings.at(backend, URI.create(fake.url()));
        return new NodeErrors(node, WireProtocol.of(node)).refused(recording.status(), recording.body(), null);
    }

    private static JobFailure failure(Backend backend, Answer answer) throws Exception {
        fake.script(_ -> answer);
        NodeSettings node = new NodeSettings(
                backend.wireName(),
                backend,
                URI.create(fake.url()),
                backend.defaultPool(),
                OptionalInt.empty(),
                null,
                KEY,
                Map.of());
        try (NodeClient client = new NodeClient(node, vertx, Duration.ofSeconds(2))) {
            Stage stage = Stage.of(client, "x");
            return Heard.of(stage, ContractCase.PLAIN_ANSWER.prompt(stage)).requireFailure();
        }
    }

    private static NodeSettings.Program missingProgram(Path models) {
        return NodeSettings.Program.of("no-such-llama-cli", models);
    }

    /** A program has no server and no key. */
    private static String ofPrograms() throws Exception {
        Path folder = Files.createTempDirectory("models");
        Path model = Files.createFile(folder.resolve("a.gguf"));
        try (Upstream programs = new LlamaPrograms(
                NodeSettings.started("llama-cli", Backend.LLAMA_CLI, missingProgram(folder)), missingProgram(folder))) {
            Stage stage = Stage.of(programs, "a");
            JobFailure away =
                    Heard.of(stage, ContractCase.PLAIN_ANSWER.prompt(stage)).requireFailure();
            Stage other = Stage.of(programs, "x");
            WireProtocol.Unsupported missing = catchThrowableOfType(
                    WireProtocol.Unsupported.class, () -> Heard.of(other, ContractCase.PLAIN_ANSWER.prompt(other)));

            assertThat(away.code()).isEqualTo(JobFailure.Code.NODE_UNREACHABLE);
            assertThat(missing.failure().code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
            return listed(Backend.LLAMA_CLI, away, missing.failure())
                    .replace("no-such-llama-cli", "llama-cli")
                    .replace(folder.toString(), "/models");
        } finally {
            Files.delete(model);
            Files.delete(folder);
        }
    }

    /** Returns a refusal in the form of a backend that shares its dialect with others. */
    private static Answer refusal(Backend backend, int status, String words) {
        return switch (backend) {
            case VLLM, OLLAMA, AZURE_OPENAI, ANTHROPIC -> Answer.refuse(status, words);
            case OPENAI, LM_STUDIO, LLAMA_SERVER, LLAMA_CLI, OPENAI_COMPATIBLE ->
                Answer.document(
                        status,
                        "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}"
                                .formatted(words));
        };
    }

    private static String address(Backend backend) {
        return switch (backend) {
            case VLLM -> "http://localhost:8000";
            case OLLAMA -> "http://localhost:11434";
            case OPENAI -> "https://api.openai.com";
            case AZURE_OPENAI -> "https://NAME.openai.azure.com";
            case ANTHROPIC -> "https://api.anthropic.com";
            case LM_STUDIO -> "http://localhost:1234";
            case LLAMA_SERVER, LLAMA_CLI -> "http://localhost:8081";
            case OPENAI_COMPATIBLE -> "http://localhost:9090";
        };
    }

    private static String missingWords(Backend backend) {
        return switch (backend) {
            case VLLM, OPENAI -> "The model `x` does not exist.";
            case OLLAMA -> "model 'x' not found";
            case AZURE_OPENAI -> "The API deployment for this resource does not exist.";
            case ANTHROPIC -> "model: x";
            case LM_STUDIO, LLAMA_SERVER, LLAMA_CLI, OPENAI_COMPATIBLE -> "model 'x' not found";
        };
    }

    private static String keyWords(Backend backend) {
        return switch (backend) {
            case OPENAI -> "Incorrect API key provided: sk-not-t****4711. You can find your API key in your account.";
            case AZURE_OPENAI -> "Access denied due to invalid subscription key or wrong API endpoint.";
            case ANTHROPIC -> "invalid x-api-key";
            case LLAMA_SERVER -> "Invalid API Key";
            case VLLM, OLLAMA, LM_STUDIO, LLAMA_CLI, OPENAI_COMPATIBLE -> "Invalid API key: " + KEY;
        };
    }
}
