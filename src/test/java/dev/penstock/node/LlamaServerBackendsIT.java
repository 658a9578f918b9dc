package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.http.NodeClient;
import dev.penstock.node.http.Probe;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.upstream.ProbeResult;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.testkit.LlamaServer;
import io.vertx.core.Vertx;
import java.net.URI;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The contract against a real llama-server: its own backend, and the other backends whose API it has. */
class LlamaServerBackendsIT {
    private static final Vertx VERTX = Vertx.vertx();
    private static RealLlama llama;

    @BeforeAll
    static void start() {
        llama = new RealLlama();
    }

    @AfterAll
    static void stop() {
        llama.close();
        VERTX.close().toCompletionStage().toCompletableFuture().join();
    }

    static Stream<Arguments> cases() {
        List<ContractCase> impossible = List.of(ContractCase.ERROR_IN_MID_STREAM, ContractCase.CONNECT_TIMEOUT);
        List<ContractCase> notInMessages = List.of(ContractCase.EMBEDDINGS, ContractCase.JSON_SCHEMA);
        return Stream.of(
                        Backend.LLAMA_SERVER,
                        Backend.OPENAI_COMPATIBLE,
                        Backend.VLLM,
                        Backend.OPENAI,
                        Backend.LM_STUDIO,
                        Backend.ANTHROPIC)
                .flatMap(backend -> Arrays.stream(ContractCase.values())
                        .filter(wanted -> !impossible.contains(wanted))
                        .filter(wanted -> backend != Backend.ANTHROPIC || !notInMessages.contains(wanted))
                        .map(wanted -> Arguments.of(backend, wanted)));
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("cases")
    void the_contract(Backend backend, ContractCase wanted) throws Exception {
        Optional<Stage> stage = llama.as(backend).stage(wanted);

        wanted.check(stage.orElseThrow());
    }

    @Test
    void too_long_a_prompt_is_reported_with_both_numbers() throws Exception {
        Stage stage = llama.as(Backend.LLAMA_SERVER)
                .stage(ContractCase.ERROR_BEFORE_THE_FIRST_TOKEN)
                .orElseThrow();

        JobFailure failure = Heard.of(stage, ContractCase.ERROR_BEFORE_THE_FIRST_TOKEN.prompt(stage))
                .requireFailure();

        assertThat(failure.code()).isEqualTo(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED);
        assertThat(failure.message()).matches("prompt has \\d+,\\d+ tokens, the node's limit is 1,024: .*");
    }

    @Test
    void what_the_model_cannot_do_is_for_another_node() throws Exception {
        NodeClient client = llama.client(Backend.LLAMA_SERVER, LlamaServer.Model.TINY);
        Stage stage = Stage.of(client, LlamaServer.MODEL);
        Prompt embeddings = ContractCase.prompt(stage, Task.EMBEDDINGS, "{\"input\":\"Hi\"}");
        Prompt image = ContractCase.prompt(stage, Task.DESCRIBE, "{\"images\":[\"iVBORw0KGgo=\"]}");

        for (Prompt prompt : List.of(embeddings, image)) {
            JobFailure failure = Heard.of(stage, prompt).requireFailure();
            assertThat(failure.code()).as(failure.message()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
        }
    }

    /** 600 requests, 4 at once: each takes one attempt, whatever the server does to its connections. */
    @Test
    void no_attempt_is_lost_to_a_connection_that_the_server_ends() throws Exception {
        URI url = llama.server(LlamaServer.Model.TINY).url();
        NodeSettings named = NodeSettings.at(Backend.LLAMA_SERVER, url);
        NodeSettings recognised = NodeSettings.at(Backend.OPENAI_COMPATIBLE, url);

        for (NodeSettings settings : List.of(named, recognised)) {
            try (NodeClient client = new NodeClient(settings, VERTX, Duration.ofSeconds(5))) {
                Stage stage = Stage.of(client, LlamaServer.MODEL);
                Prompt prompt = ContractCase.prompt(
                        stage, Task.CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":4}");
                Queue<String> failures = new ConcurrentLinkedQueue<>();
                AtomicInteger left = new AtomicInteger(600);
                long begun = System.nanoTime();
                List<Thread> askers = IntStream.range(0, 4)
                        .mapToObj(_ -> Thread.ofVirtual().start(() -> {
                            while (left.getAndDecrement() > 0) {
                                try {
                                    Heard heard = Heard.of(stage, prompt);
                                    if (heard.failure() != null) {
                                        failures.add(heard.failure().message());
                                    }
                                } catch (Exception e) {
                                    failures.add(e.toString());
                                }
                            }
                        }))
                        .toList();
                for (Thread asker : askers) {
                    asker.join();
                }
                System.out.printf(
                        "llama-server as %s: 600 requests at 4 at once in %d ms, %d attempts lost%n",
                        settings.backend().wireName(), (System.nanoTime() - begun) / 1_000_000, failures.size());
                assertThat(failures).as(settings.backend().wireName()).isEmpty();
            }
        }
    }

    /** It then begins with {@code data: null}, and counts in each choice's last chunk. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            COMPLETION | "prompt":["one","and two"]
            CHAT       | "messages":[{"role":"user","content":"Hi"}],"n":2
            """)
    void several_choices_are_counted_together(Task task, String body) throws Exception {
        Stage stage = Stage.of(llama.client(Backend.LLAMA_SERVER, LlamaServer.Model.TINY), LlamaServer.MODEL);

        Heard heard = Heard.of(
                stage, ContractCase.prompt(stage, task, "{%s,\"max_tokens\":3,\"ignore_eos\":true}".formatted(body)));

        heard.assertWhole();
        assertThat(heard.answer().choices())
                .hasSize(2)
                .allSatisfy(choice -> assertThat(choice.finishReason()).isEqualTo("length"));
        assertThat(heard.answer().usage().completionTokens()).isEqualTo(6);
    }

    @Test
    void it_does_not_think_where_a_job_says_so() throws Exception {
        Stage stage =
                llama.as(Backend.LLAMA_SERVER).stage(ContractCase.REASONING).orElseThrow();
        String body =
                "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":20,\"reasoning_effort\":\"none\"}";

        for (int i = 0; i < 5; i++) {
            Heard heard = Heard.of(stage, ContractCase.prompt(stage, Task.CHAT, body));
            heard.assertWhole();
            assertThat(heard.choice().text()).doesNotContainKey(TokenEvent.Field.REASONING);
        }
    }

    @Test
    void a_probe_says_its_models_and_slots() throws Exception {
        NodeClient client = llama.client(Backend.LLAMA_SERVER, LlamaServer.Model.TINY);

        assertThat(Probe.of(client)).isInstanceOfSatisfying(ProbeResult.Up.class, up -> {
            assertThat(up.totalSlots()).isEqualTo(4);
            assertThat(up.models()).extracting(WireProtocol.Model::id).containsExactly(LlamaServer.MODEL);
        });
    }
}
