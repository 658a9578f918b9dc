package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.node.media.MediaFetcher;
import dev.penstock.node.media.Until;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.node.upstream.TokenStream;
import dev.penstock.node.upstream.Upstream;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.LogLines;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.Clock;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What a node does when its upstream fails with an unexpected exception. */
class BrokenUpstreamTest {
    private final Vertx vertx = Vertx.vertx();
    private final Settings service = TestSettings.defaults();
    private final MediaFetcher media =
            new MediaFetcher(vertx, service.permissions().hosts(), 0);
    private final NodeSettings settings = NodeSettings.at(Backend.VLLM, URI.create("http://127.0.0.1:1"));

    /** Each call fails with a secret in the message. */
    private record Broken(NodeSettings settings) implements Upstream {
        @Override
        public String address() {
            return "http://127.0.0.1:1";
        }

        @Override
        public TokenStream stream(Prompt prompt) {
            throw new IllegalStateException("Bearer secret");
        }

        @Override
        public ProbeResult probe() {
            throw new IllegalStateException("Bearer secret");
        }

        @Override
        public void close() {
            // it has nothing open
        }
    }

    @AfterEach
    void close() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @Test
    void an_answer_that_breaks_the_probe_makes_the_node_down() throws Exception {
        Node node = new Node(
                settings, service, new Broken(settings), media, Clock.systemUTC(), () -> {}, () -> {}, (_, _) -> {});

        new ProbeLoop(node, () -> false).probe();

        assertThat(node.health().state()).isEqualTo(Node.State.DOWN);
        assertThat(node.health().lastError()).isEqualTo("its answer to a probe cannot be read");
    }

    @Test
    void a_request_that_cannot_be_built_is_the_fault_of_its_job() throws Exception {
        Prompt prompt = Prompt.of(Task.CHAT, "tiny", Map.of(), Map.of(), Map.of(), 0);
        Until never = new Until(new CompletableFuture<>(), Long.MAX_VALUE);
        try (LogLines log = LogLines.of(NodeRequest.class);
                NodeRequest request = new NodeRequest(new Broken(settings), prompt, media.inlined(Map.of(), never))) {
            assertThatThrownBy(request::stream)
                    .isInstanceOfSatisfying(
                            WireProtocol.Unsupported.class,
                            refused -> assertThat(refused.failure().code()).isEqualTo(JobFailure.Code.NODE_ERROR))
                    .hasMessageContaining("the request for it could not be built");
            assertThat(log.lines()).singleElement().asString().contains("could not be built");
        }
    }
}
