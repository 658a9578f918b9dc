package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Task;
import dev.penstock.node.Node;
import dev.penstock.node.RealNodes;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.match.Decision;
import dev.penstock.schedule.QueueEntry;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.opentelemetry.api.OpenTelemetry;
import io.vertx.core.Vertx;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Every kind of failure in every phase of an attempt, at wire level: first with a second node, then at a node that is
 * alone. In the events, a chunk is {@code .}; each attempt begins with {@code started}. After each job no slot is taken.
 */
@Timeout(60)
class FailureTableTest {
    private static Vertx vertx;
    private static FakeUpstream bad;
    private static FakeUpstream good;

    @BeforeAll
    static void open() {
        vertx = Vertx.vertx();
        bad = FakeUpstream.start();
        good = FakeUpstream.start();
    }

    @AfterAll
    static void close() {
        bad.close();
        good.close();
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @ParameterizedTest(name = "{0}: {1}")
    @CsvSource(delimiter = '|', textBlock = """
            connect       | refused            | a b | node_unreachable=1 completed=1        | started started . completed    | waits until it is up
            headers       | closed             | a b | stream_broken=1 completed=1           | started started . completed    | a a a: stream_broken
            headers       | reset              | a b | stream_broken=1 completed=1           | started started . completed    | a a a: stream_broken
            headers       | silent             | a b | first_token_timeout=1 completed=1     | started started . completed    | a a a: first_token_timeout
            headers       | 500                | a b | node_error=1 completed=1              | started started . completed    | a a a: node_error
            headers       | 401                | a b | node_unauthorized=1 completed=1       | started started . completed    | a a a: node_unauthorized
            headers       | 429                | a b | node_overloaded=1 completed=1         | started started . completed    | waits until it takes more
            headers       | 503                | a b | node_overloaded=1 completed=1         | started started . completed    | waits until it takes more
            headers       | 400                | a   | invalid_request=1                     | started failed                 | a: invalid_request
            headers       | no such model      | a b | model_not_found=1 completed=1         | started started . completed    | a: model_not_found
            headers       | prompt too long    | a b | context_length_exceeded=1 completed=1 | started started . completed    | a: context_length_exceeded
            first token   | closed             | a b | stream_broken=1 completed=1           | started started . completed    | a a a: stream_broken
            first token   | silent             | a b | first_token_timeout=1 completed=1     | started started . completed    | a a a: first_token_timeout
            first token   | error event        | a b | node_error=1 completed=1              | started started . completed    | a a a: node_error
            mid-stream    | closed             | a b | stream_broken=1 completed=1           | started . started . completed  | a a a: stream_broken
            mid-stream    | reset              | a b | stream_broken=1 completed=1           | started . started . completed  | a a a: stream_broken
            mid-stream    | silent             | a b | idle_timeout=1 completed=1            | started . started . completed  | a a a: idle_timeout
            mid-stream    | error event        | a b | node_error=1 completed=1              | started . started . completed  | a a a: node_error
            mid-stream    | ends               | a b | stream_broken=1 completed=1           | started . started . completed  | a a a: stream_broken
            before the end mark | closed       | a b | stream_broken=1 completed=1           | started . started . completed  | a a a: stream_broken
            before the end mark | reset        | a b | stream_broken=1 completed=1           | started . started . completed  | a a a: stream_broken
            before the end mark | silent       | a b | idle_timeout=1 completed=1            | started . started . completed  | a a a: idle_timeout
            before the end mark | ends         | a b | stream_broken=1 completed=1           | started . started . completed  | a a a: stream_broken
            """)
    void table(String phase, String failure, String nodes, String codes, String events, String alone)
            throws InterruptedException {
        try (Service both = new Service(2)) {
            both.fails(phase, failure);
            RecordingSink sink = both.run(Duration.ofMinutes(1));
            assertThat(String.join(" ", sink.nodes())).isEqualTo(nodes);
            assertThat(both.attempts()).isEqualTo(codes(codes));
            assertThat(events(sink)).isEqualTo(events);
            both.assertNothingHeld();
        } finally {
            bad.restart();
        }
        try (Service one = new Service(1)) {
            one.fails(phase, failure);
            boolean waits = alone.startsWith("waits");
            RecordingSink sink = one.run(waits ? Duration.ofMillis(600) : Duration.ofMinutes(1));
            JobFailure.Code last =
                    ((JobEvent.Failed) sink.events().getLast()).failure().code();
            if (waits) {
                assertThat(last).isEqualTo(JobFailure.Code.TIMEOUT);
            } else {
                assertThat("%s: %s".formatted(String.join(" ", sink.nodes()), last.wireName()))
                        .isEqualTo(alone);
            }
            one.assertNothingHeld();
        } finally {
            bad.restart();
        }
    }

    private static Map<String, Integer> codes(String codes) {
        Map<String, Integer> counts = new TreeMap<>();
        for (String code : codes.split(" ", -1)) {
            counts.put(code.split("=", -1)[0], Integer.parseInt(code.split("=", -1)[1]));
        }
        return counts;
    }

    /** Several chunks in a row are one. */
    private static String events(RecordingSink sink) {
        return sink.events().stream()
                .map(event ->
                        event instanceof JobEvent.Chunk ? "." : event.kind().wireName())
                .collect(Collectors.joining(" "))
                .replaceAll("\\.( \\.)+", ".");
    }

    private static Answer answer(String phase, String failure) {
        Answer answer = Answer.of("a", "b", "c").every(Duration.ofMillis(5));
        return switch (phase) {
            case "headers" ->
                switch (failure) {
                    case "closed" -> answer.closeBeforeResponse();
                    case "reset" -> answer.resetBeforeResponse();
                    case "silent" -> answer.stallBeforeResponse();
                    case "no such model" -> Answer.refuse(404, "The model `tiny` does not exist.");
                    case "prompt too long" ->
                        Answer.refuse(
                                400,
                                "This model's maximum context length is 8 tokens. However, your prompt contains 9 input tokens");
                    default -> Answer.refuse(Integer.parseInt(failure), "of the test");
                };
            case "first token" -> broken(answer, failure, 0);
            case "mid-stream" -> broken(answer, failure, 2);
            case "before the end mark" ->
                switch (failure) {
                    case "closed" -> answer.closing();
                    case "reset" -> answer.resetting();
                    case "silent" -> answer.stalling();
                    default -> answer.withoutEndMark();
                };
            default -> throw new IllegalArgumentException(phase);
        };
    }

    private static Answer broken(Answer answer, String failure, int tokens) {
        return switch (failure) {
            case "closed" -> answer.closeAfter(tokens);
            case "reset" -> answer.resetAfter(tokens);
            case "silent" -> answer.stallAfter(tokens);
            case "error event" -> answer.failAfter(tokens);
            case "ends" -> answer.withoutEndMarkAfter(tokens);
            default -> throw new IllegalArgumentException(failure);
        };
    }

    /** The parts of the service that execute a job, over real connections. */
    private static final class Service implements AutoCloseable {
        private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
        private final Settings settings;
        private final RealNodes nodes;
        private final Scheduler scheduler;

        private Service(int count) {
            Map<String, String> keys = new HashMap<>(Map.of(
                    "penstock.timeouts.first-token", "250ms",
                    "penstock.timeouts.idle", "250ms",
                    "penstock.retries.backoff", "5ms",
                    "penstock.breaker.half-open-after", "20ms",
                    // a reset may lose the last tokens, so it is open how much text there is to continue
                    "penstock.continue", "never"));
            for (String name : List.of("a", "b").subList(0, count)) {
                keys.put("penstock.nodes." + name + ".backend", "vllm");
                keys.put("penstock.nodes." + name + ".url", (name.equals("a") ? bad : good).url());
            }
            settings = TestSettings.ofFile(keys);
            nodes = new RealNodes(settings, vertx, meters);
            scheduler = new Scheduler(settings, nodes, Clock.systemUTC(), meters);
            awaitAllUp();
        }

        private void fails(String phase, String failure) {
            good.script(_ -> Answer.of("a", "b", "c"));
            if (phase.equals("connect")) {
                bad.stop();
            } else {
                bad.script(_ -> answer(phase, failure));
            }
        }

        private static PromptJob job(Duration timeout) {
            return new PromptJob(
                    new JobId("job-1"),
                    Task.CHAT,
                    "tiny",
                    true,
                    Map.of(),
                    Priority.NORMAL,
                    "default",
                    Clock.systemUTC().instant(),
                    timeout,
                    null,
                    PromptJob.Pins.NONE,
                    null,
                    3,
                    null,
                    null,
                    Map.of("messages", List.of(Map.of("role", "user", "content", "Hi"))));
        }

        private QueueEntry enter(PromptJob job) {
            return scheduler.enter(
                    RouteKey.of(job, Decision.NONE),
                    Demand.ofChars(2),
                    Priority.NORMAL,
                    "default",
                    "prompt-jobs",
                    false,
                    null);
        }

        private RecordingSink run(Duration timeout) throws InterruptedException {
            PromptJob job = job(timeout);
            RecordingSink sink = new RecordingSink();
            try (QueueEntry entry = enter(job)) {
                Execution.Result result = new Execution(
                                new Work(job, Rule.NONE, new RecordPlace("prompt-jobs", 0, 0), null, 0, 0, 0, null),
                                entry,
                                sink,
                                new StopSignal(),
                                () -> true,
                                new ExecutionContext(
                                        settings,
                                        Clock.systemUTC(),
                                        System::nanoTime,
                                        RandomGenerator.getDefault(),
                                        new RunMeters(meters),
                                        OpenTelemetry.noop().getTracer("test")))
                        .run();
                sink.add(((Execution.Result.Concluded) result).outcome().event());
            }
            return sink;
        }

        /** Waits until the scheduler knows that all nodes are up. */
        private void awaitAllUp() {
            Set<String> names = nodes.all().stream().map(Node::name).collect(Collectors.toSet());
            try (QueueEntry entry = enter(job(Duration.ofMinutes(1)))) {
                for (String name : names) {
                    Set<String> others = new HashSet<>(names);
                    others.remove(name);
                    Conditions.await(() -> entry.hasOther(others), () -> name + " is not up");
                }
            }
        }

        private Map<String, Integer> attempts() {
            Map<String, Integer> counts = new TreeMap<>();
            for (Counter counter : meters.get("penstock.attempts").counters()) {
                counts.put(String.valueOf(counter.getId().getTag("outcome")), (int) counter.count());
            }
            return counts;
        }

        private void assertNothingHeld() {
            for (Node node : nodes.all()) {
                assertThat(node.inFlight()).as(node.name()).isZero();
                assertThat(node.requests().load().waitingTokens())
                        .as(node.name())
                        .isZero();
            }
        }

        @Override
        public void close() {
            nodes.close();
        }
    }
}
