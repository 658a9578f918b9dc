package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.Node;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.match.Decision;
import dev.penstock.schedule.PausedTime;
import dev.penstock.schedule.QueueEntry;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.trace.Tracer;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Executions over servers that a test plays, in time that passes only when the test says so. */
final class ExecutionRig {
    private static final Duration STEP = Duration.ofMillis(10);
    static final RecordPlace RECORD = new RecordPlace("prompt-jobs", 2, 7);
    static final Map<String, String> VLLM = TestSettings.node("gpu-a", "vllm", 64);
    static final Map<String, String> VLLM_B = TestSettings.node("gpu-b", "vllm", 1);
    static final Map<String, String> OLLAMA = TestSettings.node("cpu-a", "ollama", 2);
    static final JobFailure BROKEN = JobFailure.of(JobFailure.Code.STREAM_BROKEN, "closed the connection");

    final PausedTime time = new PausedTime();
    final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    final Settings settings;
    final FakeNodes nodes;
    final Scheduler scheduler;
    final ExecutionContext context;
    private final AtomicInteger jobs = new AtomicInteger();

    @SafeVarargs
    ExecutionRig(Map<String, String>... keys) {
        this(OpenTelemetry.noop().getTracer("test"), keys);
    }

    /** @param keys keys of the configuration, without {@code penstock.} */
    @SafeVarargs
    ExecutionRig(Tracer tracer, Map<String, String>... keys) {
        Map<String, String> file = new HashMap<>(Map.of("penstock.retries.backoff", "100ms"));
        for (Map<String, String> some : keys) {
            some.forEach((key, value) -> file.put("penstock." + key, value));
        }
        settings = TestSettings.ofFile(file);
        nodes = new FakeNodes(settings, time.clock(), time::later);
        scheduler = time.scheduler(settings, nodes, meters);
        context = new ExecutionContext(settings, time.clock(), time::nanos, () -> -1, new RunMeters(meters), tracer);
    }

    /** Returns a rule for all jobs that only says how attempts give way. */
    static Rule rule(Rule.Handling handling) {
        return new Rule(
                "it",
                dev.penstock.settings.Conditions.ANY,
                List.of(),
                Rule.Change.NOTHING,
                NodeSettings.OwnTimeouts.NONE,
                Rule.OwnRetries.NONE,
                dev.penstock.settings.Placing.USUAL,
                handling);
    }

    /** A job as a test wants it. */
    final class JobForm {
        private Task task = Task.CHAT;
        private boolean stream = true;
        private Priority priority = Priority.NORMAL;
        private Duration timeout = Duration.ofMinutes(10);
        private @Nullable Instant deadline;
        private PromptJob.Pins pins = PromptJob.Pins.NONE;
        private @Nullable Integer attempts = 3;
        private PromptJob.@Nullable ResultRule result;
        private final Map<String, Object> body =
                new HashMap<>(Map.of("messages", List.of(Map.of("role", "user", "content", "Hi"))));

        JobForm task(Task wanted) {
            task = wanted;
            if (!wanted.answersInText()) {
                body.clear();
                body.putAll(
                        wanted == Task.EMBEDDINGS
                                ? Map.of("input", List.of("Hi"))
                                : Map.of("query", "Hi", "documents", List.of("a", "b")));
            }
            return this;
        }

        JobForm withoutChunks() {
            stream = false;
            return this;
        }

        JobForm priority(Priority wanted) {
            priority = wanted;
            return this;
        }

        JobForm timeout(Duration wanted) {
            timeout = wanted;
            return this;
        }

        JobForm deadlineIn(Duration wanted) {
            deadline = time.clock().instant().plus(wanted);
            return this;
        }

        JobForm node(String wanted) {
            pins = new PromptJob.Pins(null, wanted);
            return this;
        }

        JobForm attempts(@Nullable Integer wanted) {
            attempts = wanted;
            return this;
        }

        JobForm result(PromptJob.ResultRule wanted) {
            result = wanted;
            return this;
        }

        JobForm without(String field) {
            body.remove(field);
            return this;
        }

        JobForm with(String field, Object value) {
            body.put(field, value);
            return this;
        }

        PromptJob model(@Nullable String model) {
            return new PromptJob(
                    new JobId("job-" + jobs.incrementAndGet()),
                    task,
                    model,
                    stream,
                    Map.of("team", "a"),
                    priority,
                    "default",
                    time.clock().instant(),
                    timeout,
                    deadline,
                    pins,
                    null,
                    attempts,
                    result,
                    null,
                    body);
        }
    }

    JobForm job() {
        return new JobForm();
    }

    Run start(String model) {
        return start(job().model(model));
    }

    Run start(PromptJob job) {
        return start(new Work(job, Rule.NONE, RECORD, null, 0, 0, 0, null));
    }

    Run start(Work work) {
        return new Run(work, new RecordingSink()).begin();
    }

    /** Starts a direct call. */
    Run startCall(PromptJob job, Rule rule) {
        Work work = new Work(job, rule, RECORD, null, 0, 0, 0, null);
        QueueEntry entry = scheduler.enterCall(
                RouteKey.of(job, Decision.NONE),
                Demand.of(job, rule, settings.parameters()),
                job.priority(),
                job.tenant(),
                job.deadline());
        return new Run(work, new RecordingSink(), entry).begin();
    }

    Run start(Work work, RecordingSink sink) {
        return new Run(work, sink).begin();
    }

    Run start(PromptJob job, RecordingSink sink) {
        return new Run(new Work(job, Rule.NONE, RECORD, null, 0, 0, 0, null), sink).begin();
    }

    /** An execution on a thread of its own. */
    final class Run {
        final RecordingSink sink;
        final StopSignal signal = new StopSignal();
        final Execution execution;
        final AtomicInteger ownerAsked = new AtomicInteger();
        volatile boolean owned = true;
        private final QueueEntry entry;
        private final CompletableFuture<Execution.Result> result = new CompletableFuture<>();

        private Run(Work work, RecordingSink sink) {
            this(
                    work,
                    sink,
                    scheduler.enter(
                            RouteKey.of(work.job(), Decision.NONE),
                            Demand.of(work.job(), work.rule(), settings.parameters()),
                            work.job().priority(),
                            work.job().tenant(),
                            "prompt-jobs",
                            false,
                            null));
        }

        private Run(Work work, RecordingSink sink, QueueEntry entry) {
            this.sink = sink;
            this.entry = entry;
            execution = new Execution(
                    work,
                    entry,
                    sink,
                    signal,
                    () -> {
                        ownerAsked.incrementAndGet();
                        return owned;
                    },
                    context);
        }

        private Run begin() {
            Thread.ofVirtual().start(() -> {
                try (entry) {
                    Execution.Result ended = execution.run();
                    if (ended instanceof Execution.Result.Concluded(Outcome outcome)) {
                        sink.add(outcome.event());
                    }
                    result.complete(ended);
                } catch (InterruptedException | RuntimeException | Error e) {
                    result.completeExceptionally(e);
                }
            });
            return this;
        }

        boolean isOver() {
            return result.isDone();
        }

        Execution.Result result() {
            Conditions.await(result::isDone, () -> "it has not ended: " + sink.names());
            return result.join();
        }

        Outcome outcome() {
            return ((Execution.Result.Concluded) result()).outcome();
        }

        /** Returns the failure that the job ended with. */
        JobFailure failure() {
            return ((JobEvent.Failed) outcome().event()).failure();
        }
    }

    /** Lets time pass, and every stream sees it. */
    void pass(Duration length) {
        time.pass(length);
        nodes.all().forEach(node -> nodes.server(node.name()).calls().forEach(FakeNodes.Call::wake));
    }

    /** Lets time pass in small steps, until a condition holds. */
    void passUntil(BooleanSupplier condition, Supplier<String> otherwise) {
        Conditions.await(
                () -> {
                    if (!condition.getAsBoolean()) {
                        pass(STEP);
                    }
                    return condition.getAsBoolean();
                },
                otherwise);
    }

    /** Returns when so many jobs wait. */
    void awaitWaiting(int count) {
        Conditions.await(() -> waiting() == count, () -> waiting() + " jobs wait");
    }

    int waiting() {
        return waiting("penstock.jobs.waiting");
    }

    /** Returns when so many direct calls wait. */
    void awaitWaitingCalls(int count) {
        Conditions.await(() -> waiting("penstock.calls.waiting") == count, () -> "not so many calls wait");
    }

    private int waiting(String gauge) {
        return (int) meters.get(gauge).tag("priority", "normal").gauge().value();
    }

    /** Returns when a server has had so many requests. */
    static List<FakeNodes.Call> awaitCalls(FakeNodes.Server server, int count) {
        Conditions.await(
                () -> server.calls().size() == count, () -> server.calls().size() + " requests");
        return server.calls();
    }

    Node node(String name) {
        return nodes.find(name).orElseThrow();
    }

    void assertNothingHeld() {
        assertThat(nodes.all())
                .allSatisfy(node -> assertThat(node.inFlight()).as(node.name()).isZero());
    }

    double count(String meter, String... tags) {
        return meters.get(meter).tags(tags).counter().count();
    }

    /** Returns the failure of a busy server, which may name the time until the next request. */
    static JobFailure busy(@Nullable Duration after) {
        return JobFailure.of(JobFailure.Code.NODE_OVERLOADED, "The engine is currently busy")
                .with(new JobFailure.Again(after, false));
    }

    /** Returns a part of the answer. */
    static TokenEvent text(String text) {
        return new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text);
    }
}
