package dev.penstock.node.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Each protocol reads every answer of a model server that {@code make fuzz} has kept. Each answer ends, complete or
 * as a failure.
 */
class KeptAnswersTest {
    private static final Path FOLDER = TestEnvironment.projectDir().resolve("src/test/resources/fuzz/said");
    private static final Prompt PROMPT = Prompt.of(
            Task.CHAT,
            "tiny",
            Map.of("messages", List.of(Map.of("role", "user", "content", "hi"))),
            Map.of(),
            Map.of(),
            0);
    private static final long PATIENCE_NANOS = Duration.ofSeconds(20).toNanos();

    @ParameterizedTest
    @MethodSource("kept")
    void a_kept_answer_ends(Path file) throws Exception {
        Vertx vertx = Vertx.vertx();
        try (FakeUpstream fake = FakeUpstream.start()) {
            fake.script(_ -> answer(file));
            for (Backend backend : List.of(Backend.VLLM, Backend.LLAMA_SERVER, Backend.OLLAMA, Backend.ANTHROPIC)) {
                NodeSettings node = NodeSettings.at(backend, URI.create(fake.url()));
                try (NodeClient client = new NodeClient(node, vertx, Duration.ofSeconds(2));
                        TokenStream stream = client.stream(PROMPT)) {
                    TokenEvent event = stream.next(PATIENCE_NANOS, 0);
                    while (event != null && !isEnd(event)) {
                        event = stream.next(PATIENCE_NANOS, 0);
                    }
                    assertThat(event).as("%s with %s", file, backend).isNotNull();
                }
            }
        } finally {
            vertx.close();
        }
    }

    private static Answer answer(Path file) {
        try {
            return Answer.raw(Files.readAllBytes(file)).closing();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static boolean isEnd(@Nullable TokenEvent event) {
        return event instanceof TokenEvent.End || event instanceof TokenEvent.Broken;
    }

    static List<Path> kept() throws IOException {
        try (Stream<Path> files = Files.walk(FOLDER)) {
            return files.filter(Files::isRegularFile).sorted().toList();
        }
    }
}
