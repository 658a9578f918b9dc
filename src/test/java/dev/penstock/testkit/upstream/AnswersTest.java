package dev.penstock.testkit.upstream;

import static dev.penstock.testkit.upstream.WireClient.chat;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the options of an answer. */
class AnswersTest {
    private static final Duration PATIENCE = Duration.ofSeconds(10);
    private static final String CHAT = "/v1/chat/completions";
    private static final String STREAM = ",\"stream\":true";
    private static final FakeUpstream FAKE = FakeUpstream.start();

    @AfterAll
    static void close() {
        FAKE.close();
    }

    @BeforeEach
    void reset() {
        FAKE.reset();
        FAKE.flavour(Flavour.VLLM).byPrompt("").probes(_ -> Optional.empty());
    }

    @Test
    void withoutAScriptThePromptSaysWhatToDo() throws Exception {
        Recording answer = ask(chat("Hello [[tokens=2 reasoning=1 finish=length]]", STREAM));

        assertThat(answer.chunks()).hasSize(1 + 1 + 2 + 1);
        assertThat(answer.body()).contains("{\"reasoning\":\" the\"}", "\"finish_reason\":\"length\"");
    }

    @Test
    void defaultsAreForWhatThePromptLeavesOpen() throws Exception {
        FAKE.byPrompt("tokens=2 status=503 message=try_again");

        assertThat(ask(chat("Hello", "")).body()).contains("\"try again\"");
        assertThat(ask(chat("Hello [[status=429]]", "")).status()).isEqualTo(429);
    }

    @Test
    void anUnknownInstructionIsRefused() throws Exception {
        Recording answer = ask(chat("[[token=2]]", ""));

        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.body()).contains("there is no instruction token");
    }

    @Test
    void everyChoiceIsAnswered() throws Exception {
        String whole = ask(chat("[[tokens=1]]", STREAM + ",\"n\":2")).body();

        assertThat(whole)
                .contains("{\"index\":0,\"delta\":{\"content\":\"\"},\"logprobs\":null,\"finish_reason\":\"stop\"");
        assertThat(whole)
                .contains("{\"index\":1,\"delta\":{\"content\":\"\"},\"logprobs\":null,\"finish_reason\":\"stop\"");
    }

    @Test
    void errorsMayHaveAnyStatusBodyAndHeader() throws Exception {
        FAKE.script(_ -> Answer.document(418, "{\"tea\":true}").header("Retry-After", "2"));

        Recording answer = ask(chat("hi", STREAM));

        assertThat(answer.status()).isEqualTo(418);
        assertThat(answer.body()).isEqualTo("{\"tea\":true}");
        assertThat(answer.headers()).containsEntry("retry-after", "2");
    }

    @Test
    void probesMayBeAnsweredOtherwise() throws Exception {
        FAKE.flavour(Flavour.LLAMA_SERVER)
                .probes(request -> request.path().equals("/v1/models")
                        ? Optional.of(Answer.refuse(503, "Loading model"))
                        : Optional.empty());

        try (WireClient client = new WireClient(FAKE)) {
            assertThat(client.get("/v1/models").response().body())
                    .isEqualTo(Recording.of("llama-server/loading-models").body());
            assertThat(client.get("/props").response().body()).contains("\"total_slots\":4");
            assertThat(client.get("/version").response().status()).isEqualTo(404);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void itClosesAfterSoManyTokens(int tokens) throws Exception {
        FAKE.script(_ -> Answer.of("a", "b", "c").closeAfter(tokens));

        try (WireClient client = new WireClient(FAKE)) {
            String rest = client.post(CHAT, chat("hi", STREAM)).rest();
            assertThat(rest.split("\"content\":\"[abc]\"", -1)).hasSize(tokens + 1);
            assertThat(rest).startsWith("HTTP/1.1 200 OK").doesNotContain("\r\n0\r\n");
        }
        assertThat(FAKE.requests().getFirst().outcome()).isEqualTo(Outcome.DROPPED);
        assertThat(FAKE.requests().getFirst().tokensSent()).isEqualTo(tokens);
    }

    @Test
    void itClosesWhenATokenIsDue() throws Exception {
        FAKE.script(_ -> Answer.of("a", "b", "c").every(Duration.ofMillis(30)).closeBefore(2));

        try (WireClient client = new WireClient(FAKE)) {
            String rest = client.post(CHAT, chat("hi", STREAM)).rest();
            assertThat(rest).contains("\"a\"").doesNotContain("\"b\"");
        }
        Exchange exchange = FAKE.requests().getFirst();
        assertThat(Duration.between(exchange.startedAt(), exchange.endedAt())).isGreaterThan(Duration.ofMillis(25));
    }

    @Test
    void itClosesWithoutAByte() throws Exception {
        FAKE.script(_ -> Answer.of("a").closeBeforeResponse());

        try (WireClient client = new WireClient(FAKE)) {
            assertThat(client.post(CHAT, chat("hi", "")).rest()).isEmpty();
        }
    }

    @Test
    void itResetsWithoutAByteAndInMidStream() throws Exception {
        FAKE.script(_ -> Answer.of("a").resetBeforeResponse());
        try (WireClient client = new WireClient(FAKE)) {
            client.post(CHAT, chat("hi", ""));
            assertThatThrownBy(client::rest).isInstanceOf(SocketException.class).hasMessageContaining("reset");
        }
        FAKE.script(_ -> Answer.of("a", "b").every(Duration.ofMillis(20)).resetBefore(2));
        try (WireClient client = new WireClient(FAKE)) {
            client.post(CHAT, chat("hi", STREAM)).until("\"a\"");
            assertThatThrownBy(client::rest).isInstanceOf(SocketException.class).hasMessageContaining("reset");
        }
    }

    @Test
    void itBreaksOffInMidStreamAsTheServerWould() throws Exception {
        FAKE.script(_ -> Answer.of("a", "b").failAfter(1));
        assertThat(ask(chat("hi", STREAM)).chunks()).last().isEqualTo("data: [DONE]\n\n");
        FAKE.flavour(Flavour.LLAMA_SERVER);
        assertThat(ask(chat("hi", STREAM)).chunks()).last().asString().contains("\"type\":\"server_error\"");
        FAKE.script(_ -> Answer.of("a", "b").withoutEndMarkAfter(1));
        Recording unfinished = ask(chat("hi", STREAM));
        assertThat(unfinished.ended()).isTrue();
        assertThat(unfinished.body()).endsWith("\n\n").doesNotContain("[DONE]", "\"finish_reason\":\"stop\"");
    }

    @Test
    void tokensComeAtTheirPace() throws Exception {
        FAKE.script(_ -> Answer.of("a", "b", "c")
                .firstByteAfter(Duration.ofMillis(10))
                .firstTokenAfter(Duration.ofMillis(20))
                .every(Duration.ofMillis(15)));

        long start = System.nanoTime();
        try (WireClient client = new WireClient(FAKE)) {
            client.post(CHAT, chat("hi", STREAM)).until("\r\n\r\n");
            assertThat(System.nanoTime() - start).isGreaterThan(9_000_000L);
            client.until("\"a\"");
            assertThat(System.nanoTime() - start).isGreaterThan(29_000_000L);
            client.until("\"c\"");
            assertThat(System.nanoTime() - start).isGreaterThan(59_000_000L);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "vllm/chat-stream",
                "vllm/stream-sigkill",
                "vllm/err-unknown-model",
                "llama-server/tools-required-stream",
                "llama-server/stream-server-sigterm",
                "ollama/tools-stream",
                "ollama/native-kill-runner-stream"
            })
    void aRecordingIsReplayedAsItIs(String name) throws Exception {
        Recording recording = Recording.of(name);
        FAKE.script(_ -> Answer.raw(recording.bytes()));

        try (WireClient client = new WireClient(FAKE)) {
            assertThat(client.post(CHAT, chat("hi", "")).rest()).isEqualTo(recording.whole());
        }
    }

    @Test
    void aReplayMayStayOpenAndSilentOrBeReset() throws Exception {
        Recording recording = Recording.of("vllm/stream-sigterm-hang");
        FAKE.script(_ -> Answer.raw(recording.bytes()).stalling());
        try (WireClient client = new WireClient(FAKE)) {
            client.post(CHAT, chat("hi", STREAM)).until(recording.whole());
            assertThat(FAKE.stats().inFlight()).isEqualTo(1);
        }
        assertThat(FAKE.awaitInFlight(0, PATIENCE).cancelled()).isEqualTo(1);
        FAKE.script(_ -> Answer.raw("HTTP/1.1 200 OK\r\n".getBytes(StandardCharsets.US_ASCII))
                .resetting());
        try (WireClient client = new WireClient(FAKE)) {
            client.post(CHAT, chat("hi", STREAM));
            assertThatThrownBy(client::rest).isInstanceOf(SocketException.class);
        }
    }

    @Test
    void aReplayThatKeepsTheConnectionKeepsIt() throws Exception {
        Recording recording = Recording.of("ollama/keep-alive-stream");
        FAKE.script(_ -> Answer.raw(recording.bytes()));

        try (WireClient client = new WireClient(FAKE)) {
            for (int i = 0; i < 2; i++) {
                assertThat(client.post("/api/chat", chat("hi", "")).response().whole())
                        .isEqualTo(recording.whole());
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 8, 17, 40})
    void bytesLeaveInTheRequestedPieces(int position) throws Exception {
        byte[] response = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd".getBytes(StandardCharsets.US_ASCII);
        FAKE.script(_ -> Answer.raw(response).splitAt(position).pauseBetweenPieces(Duration.ofHours(1)));
        byte[] buffer = new byte[100];

        try (WireClient client = new WireClient(FAKE)) {
            assertThat(client.post(CHAT, chat("hi", "")).read(buffer)).isEqualTo(position);
            assertThat(FAKE.stats().inFlight()).isEqualTo(1);
        }
        FAKE.awaitInFlight(0, PATIENCE);
    }

    @Test
    void piecesAreCutWhereTheyAreWanted() {
        assertThat(Pieces.at(40, 8).after(0)).isEqualTo(8);
        assertThat(Pieces.at(40, 8).after(8)).isEqualTo(40);
        assertThat(Pieces.at(40, 8).after(40)).isEqualTo(Long.MAX_VALUE);
        assertThat(Pieces.of(7).after(7)).isEqualTo(14);
        assertThat(Pieces.of(7).after(13)).isEqualTo(14);
        assertThatThrownBy(() -> Pieces.of(0)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void everyByteAloneIsStillTheSame() throws Exception {
        Answer answer = Answer.unicode(20).reasoning("é");
        FAKE.script(_ -> answer.everyByteAlone());
        String bytewise = ask(chat("hi", STREAM)).body();
        FAKE.script(_ -> answer.piecesOf(7));
        String inSevens = ask(chat("hi", STREAM)).body();
        FAKE.script(_ -> answer);
        String whole = ask(chat("hi", STREAM)).body();

        assertThat(withoutIds(bytewise)).isEqualTo(withoutIds(whole));
        assertThat(withoutIds(inSevens)).isEqualTo(withoutIds(whole));
        assertThat(FAKE.stats().finished()).isEqualTo(3);
    }

    @Test
    void anAnswerWithoutTokensHasNoneToChange() {
        assertThatThrownBy(() -> Answer.refuse(500, "no").reasoning("x")).isInstanceOf(IllegalStateException.class);
    }

    private static String withoutIds(String body) {
        return body.replaceAll("\"(id|created)\":[^,]*", "");
    }

    private static Recording ask(String json) throws IOException {
        try (WireClient client = new WireClient(FAKE)) {
            return client.post(CHAT, json).response();
        }
    }
}
