package dev.penstock.testkit.upstream;

import static dev.penstock.testkit.upstream.WireClient.chat;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.ConnectException;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Tests the fake's records: requests, connections, and clients that leave. */
class CountsAndConnectionsTest {
    private static final Duration PATIENCE = Duration.ofSeconds(10);
    private static final String CHAT = "/v1/chat/completions";

    private final FakeUpstream fake = FakeUpstream.start();

    @AfterEach
    void close() {
        fake.close();
    }

    @Test
    void aConnectionServesManyRequests() throws Exception {
        try (WireClient client = new WireClient(fake)) {
            for (int i = 0; i < 3; i++) {
                assertThat(client.post(CHAT, chat("hi", "")).response().status())
                        .isEqualTo(200);
            }
            client.get("/v1/models").response();
        }

        Stats stats = fake.stats();
        assertThat(stats.connections()).isEqualTo(1);
        assertThat(stats.requests()).isEqualTo(3);
        assertThat(stats.all()).isEqualTo(4);
        assertThat(stats.on(CHAT)).isEqualTo(3);
        assertThat(stats.on("/v1/models")).isEqualTo(1);
        assertThat(stats.finished()).isEqualTo(3);
        assertThat(stats.maxInFlight()).isEqualTo(1);
    }

    @Test
    void requestsAreKeptAsTheyArrived() throws Exception {
        try (WireClient client = new WireClient(fake)) {
            client.post(CHAT, chat("first", ""), "Authorization: Bearer key").response();
            client.post("/api/generate", "{\"model\":\"m\",\"prompt\":\"second\"}")
                    .response();
        }

        assertThat(fake.requests())
                .extracting(exchange -> exchange.request().prompt())
                .containsExactly("first", "second");
        Exchange first = fake.requests().getFirst();
        assertThat(first.request().headers()).containsEntry("authorization", "Bearer key");
        assertThat(first.request().sequence()).isEqualTo(1);
        assertThat(first.request().stream()).isFalse();
        assertThat(first.outcome()).isEqualTo(Outcome.FINISHED);
        assertThat(first.tokensSent()).isEqualTo(8);
        assertThat(first.endedAt()).isAfterOrEqualTo(first.startedAt());
        assertThat(fake.requests().getLast().request().stream()).isTrue();
    }

    @Test
    void onlyTheLastRequestsAreKept() throws Exception {
        fake.keep(2);
        try (WireClient client = new WireClient(fake)) {
            for (int i = 1; i <= 5; i++) {
                client.post(CHAT, chat("number " + i, "")).response();
            }
        }

        assertThat(fake.requests())
                .extracting(exchange -> exchange.request().prompt())
                .containsExactly("number 4", "number 5");
    }

    @Test
    void bodiesMayComeInChunksAndInBytes() throws Exception {
        String json = chat("ü", "");
        try (WireClient client = new WireClient(fake)) {
            String request = "POST " + CHAT + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "5\r\n" + json.substring(0, 5) + "\r\n"
                    + Integer.toHexString(json.length() - 5 + 1) + "\r\n" + json.substring(5) + "\r\n0\r\n\r\n";
            for (int i = 0; i < request.length(); i++) {
                client.send(request.substring(i, i + 1));
            }
            assertThat(client.response().status()).isEqualTo(200);
        }

        assertThat(fake.requests().getFirst().request().prompt()).isEqualTo("ü");
    }

    @Test
    void aClientMayAskBeforeItSendsTheBody() throws Exception {
        String json = chat("hi", "");
        try (WireClient client = new WireClient(fake)) {
            client.send("POST " + CHAT + " HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: " + json.length()
                    + "\r\n\r\n");
            assertThat(client.until("\r\n\r\n")).isEqualTo("HTTP/1.1 100 Continue\r\n\r\n");
            assertThat(client.send(json).response().status()).isEqualTo(200);
        }
    }

    @Test
    void whatIsNoHttpIsRefused() throws Exception {
        try (WireClient client = new WireClient(fake)) {
            assertThat(client.send("hello\r\n\r\n").rest()).startsWith("HTTP/1.1 400 Bad Request");
        }
        try (WireClient client = new WireClient(fake)) {
            assertThat(client.post(CHAT, "{no json").response().status()).isEqualTo(400);
        }
    }

    @Test
    void aClientThatLeavesBetweenTokensIsSeen() throws Exception {
        fake.script(_ -> Answer.tokens(100).stallAfter(3));
        try (WireClient client = new WireClient(fake)) {
            client.post(CHAT, chat("hi", ",\"stream\":true")).until(" was");
            assertThat(fake.stats().inFlight()).isEqualTo(1);
            assertThat(fake.stats().tokens()).isEqualTo(3);
            assertThat(fake.requests().getFirst().outcome()).isEqualTo(Outcome.IN_FLIGHT);
            assertThat(fake.requests().getFirst().tokensSent()).isEqualTo(3);
        }

        Stats stats = fake.awaitInFlight(0, PATIENCE);
        assertThat(stats.cancelled()).isEqualTo(1);
        assertThat(stats.finished()).isZero();
        Exchange exchange = fake.requests().getFirst();
        assertThat(exchange.outcome()).isEqualTo(Outcome.CANCELLED);
        assertThat(exchange.tokensSent()).isEqualTo(3);
    }

    @Test
    void aClientThatLeavesBeforeTheFirstByteIsSeen() throws Exception {
        fake.script(_ -> Answer.tokens(1).firstByteAfter(Duration.ofHours(1)));
        try (WireClient client = new WireClient(fake)) {
            client.post(CHAT, chat("hi", ",\"stream\":true"));
            fake.awaitInFlight(1, PATIENCE);
        }

        assertThat(fake.await(stats -> stats.cancelled() == 1, PATIENCE).inFlight())
                .isZero();
        assertThat(fake.requests().getFirst().tokensSent()).isZero();
    }

    @Test
    void aClientThatResetsOrHalfClosesHasLeft() throws Exception {
        fake.script(_ -> Answer.tokens(1).stallBeforeResponse());
        try (WireClient reset = new WireClient(fake);
                WireClient halfClosed = new WireClient(fake)) {
            reset.post(CHAT, chat("hi", ""));
            halfClosed.post(CHAT, chat("hi", ""));
            fake.awaitInFlight(2, PATIENCE);
            reset.reset();
            fake.awaitInFlight(1, PATIENCE);
            halfClosed.halfClose();
            fake.awaitInFlight(0, PATIENCE);
        }

        assertThat(fake.stats().cancelled()).isEqualTo(2);
    }

    @Test
    void inFlightAndTheMostAtOnce() throws Exception {
        fake.script(request -> request.sequence() <= 3 ? Answer.tokens(1).stallBeforeResponse() : Answer.tokens(1));
        WireClient[] clients = new WireClient[3];
        for (int i = 0; i < 3; i++) {
            clients[i] = new WireClient(fake).post(CHAT, chat("hi", ""));
        }
        fake.awaitRequests(3, PATIENCE);
        assertThat(fake.stats().inFlight()).isEqualTo(3);
        for (WireClient client : clients) {
            client.close();
        }
        fake.awaitInFlight(0, PATIENCE);

        assertThat(fake.stats().maxInFlight()).isEqualTo(3);
        fake.reset();
        assertThat(fake.stats().maxInFlight()).isZero();
        assertThat(fake.stats().requests()).isZero();
        assertThat(fake.requests()).isEmpty();
    }

    @Test
    void whatRanBeforeAResetStaysInFlightAndCountsNoMore() throws Exception {
        fake.script(_ -> Answer.tokens(1).stallBeforeResponse());
        try (WireClient client = new WireClient(fake)) {
            client.post(CHAT, chat("hi", ""));
            fake.awaitInFlight(1, PATIENCE);
            fake.reset();
            assertThat(fake.stats().inFlight()).isEqualTo(1);
        }

        assertThat(fake.awaitInFlight(0, PATIENCE).cancelled()).isZero();
    }

    @Test
    void anAwaitThatIsNotMetSaysWhatItSaw() {
        assertThatThrownBy(() -> fake.awaitRequests(1, Duration.ofMillis(1)))
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("1 requests")
                .hasMessageContaining("requests=0");
    }

    @Test
    void aStoppedServerRefusesConnectionsUntilItIsStartedAgain() throws Exception {
        fake.script(_ -> Answer.tokens(3).stallAfter(1));
        int port = fake.port();
        try (WireClient client = new WireClient(fake)) {
            client.post(CHAT, chat("hi", ",\"stream\":true")).until(" the");

            fake.stop();

            assertThat(client.rest()).doesNotContain("[DONE]");
            assertThat(fake.requests().getFirst().outcome()).isEqualTo(Outcome.DROPPED);
        }
        assertThatThrownBy(() -> new WireClient(fake)).isInstanceOf(ConnectException.class);

        fake.restart();

        assertThat(fake.port()).isEqualTo(port);
        try (WireClient client = new WireClient(fake)) {
            assertThat(client.get("/health").response().status()).isEqualTo(200);
        }
    }

    @Test
    void itStopsAndStartsAgainAndAgain() throws Exception {
        for (int i = 0; i < 20; i++) {
            fake.stop();
            assertThatThrownBy(() -> new WireClient(fake)).isInstanceOf(ConnectException.class);
            fake.restart();
            try (WireClient client = new WireClient(fake)) {
                client.get("/health").response();
            }
        }

        assertThat(fake.stats().connections()).isEqualTo(20);
    }

    @Test
    void idleConnectionsCanBeClosed() throws Exception {
        fake.script(_ -> Answer.tokens(1).stallBeforeResponse());
        try (WireClient busy = new WireClient(fake);
                WireClient idle = new WireClient(fake)) {
            idle.get("/health").response();
            busy.post(CHAT, chat("hi", ""));
            fake.awaitInFlight(1, PATIENCE);

            fake.closeIdleConnections();

            assertThat(idle.rest()).isEmpty();
            assertThat(fake.stats().inFlight()).isEqualTo(1);
        }
    }

    @Test
    void aPortThatIsTakenIsAnError() {
        assertThatThrownBy(() -> FakeUpstream.start(fake.port())).hasRootCauseInstanceOf(IOException.class);
    }
}
