package dev.penstock.testkit.upstream;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * With a recording's content as its script, the fake sends the same bytes as the real server, except for ids, times
 * and counts.
 */
class RecordedShapesTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final FakeUpstream FAKE = FakeUpstream.start();

    @AfterAll
    static void close() {
        FAKE.close();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            vllm/chat                        | /v1/chat/completions |
            vllm/chat-stream                 | /v1/chat/completions | "stream":true
            vllm/chat-stream-usage           | /v1/chat/completions | "stream":true,"stream_options":{"include_usage":true}
            vllm/think                       | /v1/chat/completions |
            vllm/think-stream                | /v1/chat/completions | "stream":true,"stream_options":{"include_usage":true}
            vllm/think-cut-stream            | /v1/chat/completions | "stream":true
            vllm/completions                 | /v1/completions      |
            vllm/completions-stream          | /v1/completions      | "stream":true,"stream_options":{"include_usage":true}
            vllm/completions-stream-no-usage | /v1/completions      | "stream":true
            vllm/chat-emoji-split-stream     | /v1/chat/completions | "stream":true
            llama-server/chat                | /v1/chat/completions |
            llama-server/chat-stream         | /v1/chat/completions | "stream":true
            llama-server/chat-stream-usage   | /v1/chat/completions | "stream":true,"stream_options":{"include_usage":true}
            llama-server/think-reasoning        | /v1/chat/completions |
            llama-server/think-reasoning-stream | /v1/chat/completions | "stream":true,"stream_options":{"include_usage":true}
            llama-server/completions         | /v1/completions      |
            llama-server/completions-stream  | /v1/completions      | "stream":true,"stream_options":{"include_usage":true}
            ollama/chat                      | /api/chat            | "stream":false
            ollama/chat-stream               | /api/chat            |
            ollama/chat-long-nonstream       | /api/chat            | "stream":false
            ollama/think-go                  | /api/chat            | "stream":false
            ollama/think-go-stream           | /api/chat            |
            ollama/generate                  | /api/generate        | "stream":false
            ollama/generate-stream           | /api/generate        |
            ollama/generate-raw-stream       | /api/generate        | "raw":true
            """)
    void aWholeAnswer(String name, String path, @Nullable String more) throws IOException {
        Recording recorded = Recording.of(name);

        assertSame(play(recorded, path, more, answer -> answer), recorded);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            vllm/stream-engine-killed          | /v1/chat/completions | "stream":true
            vllm/queued-stream-engine-killed   | /v1/chat/completions | "stream":true
            vllm/nonstream-engine-killed       | /v1/chat/completions |
            ollama/kill-runner-stream          | /api/chat            |
            ollama/kill-runner-generate-stream | /api/generate        |
            ollama/kill-runner-nonstream       | /api/chat            | "stream":false
            """)
    void anEngineThatFails(String name, String path, @Nullable String more) throws IOException {
        Recording recorded = Recording.of(name);

        assertSame(play(recorded, path, more, answer -> answer.failAfter(Answer.Ending.ALL)), recorded);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            ollama/repeat-limit-stream                 | /api/chat |
            ollama/runner-error-swallowed-empty-stream | /api/chat |
            ollama/repeat-limit                        | /api/chat | "stream":false
            """)
    void anAnswerWithoutAnEndMark(String name, String path, @Nullable String more) throws IOException {
        Recording recorded = Recording.of(name);

        assertSame(play(recorded, path, more, Answer::withoutEndMark), recorded);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            vllm/stream-sigkill                | /v1/chat/completions | "stream":true
            llama-server/stream-server-sigkill | /v1/chat/completions | "stream":true
            ollama/server-sigkill-stream       | /api/chat            |
            """)
    void aServerThatIsKilled(String name, String path, @Nullable String more) throws IOException {
        Recording recorded = Recording.of(name);

        Recording played = play(recorded, path, more, Answer::closing);

        assertSame(played, recorded);
        assertThat(played.ended()).isFalse();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            vllm/err-unknown-model               | /v1/chat/completions | 404 | The model `nope` does not exist. Valid aliases: tiny.
            vllm/err-queue-full                  | /v1/chat/completions | 503 | The engine is currently busy and cannot accept new requests. Please try again later or on a different instance.
            llama-server/loading-chat            | /v1/chat/completions | 503 | Loading model
            llama-server/key-wrong               | /v1/chat/completions | 401 | Invalid API Key
            ollama/err-chat-model-missing        | /api/chat            | 404 | model 'nope' not found
            ollama/err-max-queue                 | /api/chat            | 503 | server busy, please try again.  maximum pending requests exceeded
            """)
    void aRefusal(String name, String path, int status, String message) throws IOException {
        Recording recorded = Recording.of(name);

        assertSame(play(recorded, path, null, _ -> Answer.refuse(status, message)), recorded);
    }

    @ParameterizedTest
    @CsvSource({
        "vllm/models, /v1/models",
        "vllm/health, /health",
        "vllm/version, /version",
        "vllm/err-not-found, /nope",
        "llama-server/models, /v1/models",
        "llama-server/health, /health",
        "llama-server/err-not-found, /nope",
        "ollama/ps, /api/ps",
        "ollama/version, /api/version",
        "ollama/err-not-found, /api/nope",
    })
    void aListing(String name, String path) throws IOException {
        flavour(name);
        FAKE.models(name.startsWith("ollama") ? "tiny:latest" : "tiny");

        try (WireClient client = new WireClient(FAKE)) {
            client.get(path, "Connection: close");
            assertSame(Recording.parse("played", client.rest()), Recording.of(name));
        }
    }

    @Test
    void aRankingAndScores() throws IOException {
        flavour("vllm/rerank");
        FAKE.script(_ -> Answer.of());

        assertSame(
                posted(
                        "/v1/rerank",
                        "{\"model\":\"tiny-embed\",\"query\":\"hello\",\"documents\":[\"one\",\"two words\"]}"),
                Recording.of("vllm/rerank"));
        assertSame(
                posted(
                        "/v1/score",
                        "{\"model\":\"tiny-embed\",\"text_1\":\"hello\",\"text_2\":[\"one\",\"two words\"]}"),
                Recording.of("vllm/score"));
    }

    @Test
    void aPull() throws IOException {
        Recording whole = Recording.of("ollama/pull-stream-again");
        Recording missing = Recording.of("ollama/err-pull-missing-stream");
        List<String> lines =
                whole.body().lines().filter(line -> !line.contains("success")).toList();

        FAKE.pulls(_ -> Answer.tokens(lines));
        assertSame(posted("/api/pull", "{\"model\":\"x\"}"), whole);
        FAKE.pulls(_ -> Answer.tokens(lines.subList(0, 1)).failAfter(1));
        assertSame(posted("/api/pull", "{\"model\":\"nope\"}"), missing);
    }

    @Test
    void whatChangesTheModelsOfOllama() throws IOException {
        FAKE.models("tiny:latest", "tiny-copy:latest");

        assertSame(
                posted("/api/generate", "{\"model\":\"tiny\",\"keep_alive\":0}"),
                Recording.of("ollama/generate-unload"));
        try (WireClient client = new WireClient(FAKE)) {
            assertThat(client.get("/api/ps").response().body())
                    .contains("tiny-copy")
                    .doesNotContain("tiny:latest");
        }
        assertSame(sent("DELETE", "/api/delete", "{\"model\":\"tiny-copy\"}"), Recording.of("ollama/delete"));
        assertSame(
                sent("DELETE", "/api/delete", "{\"model\":\"tiny-copy\"}"), Recording.of("ollama/err-delete-missing"));
    }

    private static Recording posted(String path, String body) throws IOException {
        return sent("POST", path, body);
    }

    private static Recording sent(String method, String path, String body) throws IOException {
        try (WireClient client = new WireClient(FAKE)) {
            client.send(method, path, body, "Connection: close");
            return Recording.parse("played", client.rest());
        }
    }

    @Test
    void theTagsOfOllama() throws IOException {
        JsonNode recorded = MAPPER.readTree(Recording.of("ollama/tags").body())
                .path("models")
                .path(0);

        try (WireClient client = new WireClient(FAKE)) {
            JsonNode played = MAPPER.readTree(client.get("/api/tags").response().body())
                    .path("models")
                    .path(0);
            assertThat(played.fieldNames()).toIterable().containsExactlyElementsOf(recorded::fieldNames);
            assertThat(played.path("details").fieldNames())
                    .toIterable()
                    .containsExactlyElementsOf(recorded.path("details")::fieldNames);
        }
    }

    private static Recording play(Recording recorded, String path, @Nullable String more, UnaryOperator<Answer> change)
            throws IOException {
        flavour(recorded.name());
        Answer answer = change.apply(said(recorded));
        FAKE.script(_ -> answer);
        String model = recorded.body().contains("\"model\":\"")
                ? recorded.body().replaceAll("(?s).*?\"model\":\"([^\"]*)\".*", "$1")
                : "tiny";
        String body = "{\"model\":\"" + model + "\"" + (more == null ? "" : "," + more) + ",\"prompt\":\"x\"}";
        try (WireClient client = new WireClient(FAKE)) {
            client.post(path, body, "Connection: close");
            return Recording.parse("played", client.rest());
        }
    }

    private static void flavour(String name) {
        FAKE.flavour(name.startsWith("llama-server/") ? Flavour.LLAMA_SERVER : Flavour.VLLM);
    }

    /** Returns the tokens of a recording. */
    private static Answer said(Recording recorded) throws JsonProcessingException {
        List<String> tokens = new ArrayList<>();
        List<String> reasoning = new ArrayList<>();
        String finish = "stop";
        for (String line : recorded.body().split("\n", -1)) {
            String json = line.startsWith("data: ") ? line.substring(6) : line;
            if (!json.startsWith("{")) {
                continue;
            }
            JsonNode document = MAPPER.readTree(json);
            JsonNode choice = document.has("choices") ? document.path("choices").path(0) : document;
            JsonNode delta = choice.has("delta") ? choice.path("delta") : choice.path("message");
            boolean ends =
                    choice.hasNonNull("finish_reason") || choice.path("done").asBoolean();
            add(tokens, delta.path("content"), delta, ends);
            add(tokens, choice.path("text"), choice, ends);
            add(tokens, choice.path("response"), choice, ends);
            add(reasoning, delta.path("reasoning"), delta, ends);
            add(reasoning, delta.path("reasoning_content"), delta, ends);
            add(reasoning, delta.path("thinking"), delta, ends);
            finish = choice.path("finish_reason")
                    .asText(choice.path("done_reason").asText(finish));
        }
        return Answer.tokens(tokens).reasoning(reasoning).finishReason(finish.equals("null") ? "stop" : finish);
    }

    /** vLLM also sends empty deltas in the middle, while a character is incomplete. */
    private static void add(List<String> to, JsonNode text, JsonNode around, boolean ends) {
        boolean elsewhere = ends || around.has("role");
        if (text.isTextual() && !(text.asText().isEmpty() && elsewhere)) {
            to.add(text.asText());
        }
    }

    private static void assertSame(Recording played, Recording recorded) {
        assertThat(masked(played.head())).isEqualTo(masked(recorded.head()));
        assertThat(played.chunks().stream().map(RecordedShapesTest::masked))
                .containsExactlyElementsOf(recorded.chunks().stream()
                        .map(RecordedShapesTest::masked)
                        .toList());
        assertThat(played.ended()).isEqualTo(recorded.ended());
    }

    private static String masked(String text) {
        return text.replaceAll("(\"(?:id|created_at|expires_at|digest|param)\":)\"[^\"]*\"", "$1\"\"")
                .replaceAll("\"context\":\\[[^]]*]", "\"context\":[]")
                .replaceAll("vllm-0.32.0-[0-9a-f]+", "vllm-")
                .replaceAll("(?i)(date: ).*", "$1")
                .replaceAll("(?i)(content-length: ).*", "$1")
                .replaceAll("(\":)-?[0-9][0-9.eE-]*", "$10");
    }
}
