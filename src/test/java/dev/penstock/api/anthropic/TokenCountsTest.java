package dev.penstock.api.anthropic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.api.anthropic.MessagesRequest.Parsed;
import dev.penstock.api.anthropic.MessagesRequest.Purpose;
import dev.penstock.api.call.ApiException;
import dev.penstock.job.JobFailure;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.schedule.PausedTime;
import dev.penstock.schedule.RoutePreview;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.wire.AllowedHosts;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;

class TokenCountsTest {
    private static final String WORDS = "abcd".repeat(1_000);

    private final Settings settings = TestSettings.ofFile(Map.of(
            "penstock.nodes.a.backend", "vllm",
            "penstock.nodes.a.url", "http://127.0.0.1:1",
            "penstock.nodes.b.backend", "vllm",
            "penstock.nodes.b.url", "http://127.0.0.1:2",
            "penstock.profiles.fast.vllm", "llama"));
    private final PausedTime time = new PausedTime();
    private final FakeNodes nodes = new FakeNodes(settings, time.clock());
    private final TokenCounts counts = new TokenCounts(
            nodes,
            new RoutePreview(settings, nodes, time.scheduler(settings, nodes, new SimpleMeterRegistry())),
            settings,
            time.clock());
    private final List<Prompt> counted = new CopyOnWriteArrayList<>();

    @Test
    void the_node_that_has_the_model_counts() throws InterruptedException {
        nodes.server("a").up("other").counts(_ -> OptionalLong.of(1));
        nodes.server("b").up("llama").counts(prompt -> {
            counted.add(prompt);
            return OptionalLong.of(27);
        });

        assertThat(count("{'model':'fast','messages':[{'role':'user','content':'Hi'}]}"))
                .isEqualTo(27);
        assertThat(counted).extracting(Prompt::model).containsExactly("llama");
        assertThat(nodes.server("b").calls()).as("no answer is generated").isEmpty();
    }

    @Test
    void a_node_that_cannot_count_gives_the_estimate() throws InterruptedException {
        nodes.server("a").up("llama");

        assertThat(count("{'model':'llama','messages':[{'role':'user','content':'%s'}]}"))
                .isBetween(1_000L, 1_010L);
    }

    /** By the estimate of the routing: 4 characters for a token, in the system prompt, the messages and the tools. */
    @Test
    void without_a_node_the_tokens_are_estimated_from_the_characters() throws InterruptedException {
        long one = count("{'model':'none','messages':[{'role':'user','content':'%s'}]}");
        long withSystem = count("{'model':'none','system':'%s','messages':[{'role':'user','content':'%s'}]}");
        long withTool = count(
                "{'model':'none','messages':[{'role':'user','content':'%s'}],'tools':[{'name':'a','description':'%s','input_schema':{}}]}");
        long withImage = count(
                "{'model':'none','messages':[{'role':'user','content':[{'type':'image','source':{'type':'base64','media_type':'image/png','data':'%s'}}]}]}");

        assertThat(one).isBetween(1_000L, 1_010L);
        assertThat(withSystem).isBetween(2_000L, 2_010L);
        assertThat(withTool).isBetween(2_000L, 2_010L);
        assertThat(withImage).as("media do not count").isLessThan(10);
    }

    @Test
    void a_chat_that_is_no_valid_job_is_refused() {
        String longName = "m".repeat(5_000);

        assertThatThrownBy(() -> count("{'model':'" + longName + "','messages':[{'role':'user','content':'Hi'}]}"))
                .isInstanceOfSatisfying(
                        ApiException.class, e -> assertThat(e.failure().param()).isEqualTo("model"));
    }

    /** @param document with %s in place of 4,000 characters */
    private long count(String document) throws InterruptedException {
        byte[] bytes = document.replace("%s", WORDS).replace('\'', '"').getBytes(StandardCharsets.UTF_8);
        return switch (MessagesRequest.parse(bytes, Purpose.COUNT, AllowedHosts.NONE)) {
            case Parsed.Valid(ObjectNode chat) -> counts.of(chat, _ -> List.of());
            case Parsed.Refused(JobFailure failure) -> throw new AssertionError(failure);
        };
    }
}
