package dev.penstock.testkit.upstream;

import static dev.penstock.testkit.upstream.WireClient.chat;
import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** Tests many requests at once. */
class LoadTest {
    private static final int STREAMS = 600;

    @Test
    void hundredsOfDelayedStreams() throws Exception {
        try (FakeUpstream fake = FakeUpstream.start();
                ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
            fake.script(_ ->
                    Answer.tokens(5).firstTokenAfter(Duration.ofMillis(300)).every(Duration.ofMillis(20)));
            Callable<Boolean> one = () -> {
                try (WireClient client = new WireClient(fake)) {
                    return client.post("/v1/chat/completions", chat("hi", ",\"stream\":true"))
                            .until("[DONE]")
                            .contains(" long");
                }
            };
            List<Future<Boolean>> answers = new ArrayList<>();
            for (int i = 0; i < STREAMS; i++) {
                answers.add(clients.submit(one));
            }
            for (Future<Boolean> answer : answers) {
                assertThat(answer.get()).isTrue();
            }

            Stats stats = fake.awaitInFlight(0, Duration.ofSeconds(10));
            assertThat(stats.finished()).isEqualTo(STREAMS);
            assertThat(stats.maxInFlight()).isGreaterThan(64);
        }
    }
}
