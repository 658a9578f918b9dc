package dev.penstock.node;

import dev.penstock.settings.Backend;
import dev.penstock.testkit.upstream.FakeUpstream;
import io.vertx.core.Vertx;
import java.util.Arrays;
import java.util.function.BiPredicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The contract of every backend, against the scripted server and recorded bytes of the real servers. */
class BackendContractTest {
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

    /** All cases, except those that Anthropic's API does not have. */
    static Stream<Arguments> all() {
        return cases((backend, wanted) -> backend != Backend.ANTHROPIC || wanted != ContractCase.EMBEDDINGS);
    }

    /** Only the recorded cases. */
    static Stream<Arguments> recorded() {
        return cases(RecordedSubject::has);
    }

    private static Stream<Arguments> cases(BiPredicate<Backend, ContractCase> which) {
        return Arrays.stream(Backend.values())
                // a program gets no requests; LlamaCliIT covers it
                .filter(backend -> backend != Backend.LLAMA_CLI)
                .flatMap(backend -> Arrays.stream(ContractCase.values())
                        .filter(wanted -> which.test(backend, wanted))
                        .map(wanted -> Arguments.of(backend, wanted)));
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("all")
    void the_scripted_server(Backend backend, ContractCase wanted) throws Exception {
        wanted.check(new FakeSubject(fake, backend, vertx).stage(wanted).orElseThrow());
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("recorded")
    void the_recorded_servers(Backend backend, ContractCase wanted) throws Exception {
        wanted.check(new RecordedSubject(fake, backend, vertx).stage(wanted).orElseThrow());
    }
}
