package dev.penstock.node.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.penstock.job.JobFailure;
import dev.penstock.node.http.NodeClient;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.EndlessServer;
import io.vertx.core.Vertx;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An endless answer to a pull is read up to its limit, and the failure names the limit and the server. */
@Timeout(60)
class EndlessPullsTest {
    private static Vertx vertx;
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final Settings.Answers LIMITS = new Settings.Answers(1 << 20, 200_000, 200_000, 300_000, 2 << 20);

    private final EndlessServer server = new EndlessServer();

    @AfterEach
    void close() {
        server.close();
    }

    @BeforeAll
    static void open() {
        vertx = Vertx.vertx();
    }

    @AfterAll
    static void closeAll() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void a_pull() throws Exception {
        server.says(200, "application/x-ndjson", "", "{\"status\":\"pulling\"}\n");

        assertNamed(pulled(), "penstock.answers.max-pull");
    }

    @Test
    void a_status_line_of_a_pull() throws Exception {
        server.says(200, "application/x-ndjson", "{\"status\":\"", "x");

        assertNamed(pulled(), "a status line of more than");
    }

    @Test
    void the_error_of_a_pull() throws Exception {
        server.says(500, "application/json", "{\"error\":\"", "x");

        assertThat(pulled().message()).contains("500").hasSizeLessThan(2_100);
        assertHungUp();
    }

    private JobFailure pulled() throws Exception {
        try (NodeClient client =
                new NodeClient(NodeSettings.at(Backend.OLLAMA, server.url()), vertx, PATIENCE, LIMITS)) {
            return catchThrowableOfType(
                            ModelCommands.Refused.class, () -> new OllamaModels().fetch(client, "m", _ -> {}))
                    .failure();
        }
    }

    private void assertNamed(JobFailure failure, String limit) throws InterruptedException {
        assertThat(failure.code()).isEqualTo(JobFailure.Code.STREAM_BROKEN);
        assertThat(failure.message()).contains(limit, server.url().toString());
        assertHungUp();
        assertThat(server.sent()).as("and what the kernel holds").isLessThan(32 << 20);
    }

    private void assertHungUp() {
        Conditions.await(() -> server.hungUp() > 0, PATIENCE, "the connection is closed");
    }
}
