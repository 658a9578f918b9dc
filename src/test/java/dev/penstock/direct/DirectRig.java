package dev.penstock.direct;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.execution.ExecutionContext;
import dev.penstock.execution.RunMeters;
import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.FakeNodes;
import dev.penstock.schedule.PausedTime;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.context.Context;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

/** Direct calls over servers that a test plays, in time that passes only when the test says so. */
final class DirectRig {
    final PausedTime time = new PausedTime();
    final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    final FakeNodes nodes;
    final CallsInFlight calls;
    final List<JobEvent> outcomes = new CopyOnWriteArrayList<>();
    private int jobs;

    /** @param keys keys of the configuration, without {@code penstock.} */
    @SafeVarargs
    DirectRig(Map<String, String>... keys) {
        Map<String, String> file = new HashMap<>(Map.of("penstock.retries.backoff", "100ms"));
        for (Map<String, String> some : keys) {
            some.forEach((key, value) -> file.put("penstock." + key, value));
        }
        Settings settings = TestSettings.ofFile(file);
        nodes = new FakeNodes(settings, time.clock(), time::later);
        calls = new CallsInFlight(
                time.scheduler(settings, nodes, meters),
                new ExecutionContext(
                        settings,
                        time.clock(),
                        time::nanos,
                        () -> -1,
                        new RunMeters(meters),
                        OpenTelemetry.noop().getTracer("test")));
    }

    PromptJob job(boolean stream, Map<String, Object> more) {
        Map<String, Object> body = new HashMap<>(Map.of("messages", List.of(Map.of("role", "user", "content", "Hi"))));
        body.putAll(more);
        return new PromptJob(
                new JobId("job-" + ++jobs),
                Task.CHAT,
                "llama",
                stream,
                Map.of(),
                Priority.NORMAL,
                "default",
                time.clock().instant(),
                Duration.ofMinutes(10),
                null,
                PromptJob.Pins.NONE,
                null,
                3,
                null,
                null,
                body);
    }

    DirectCall start(PromptJob job) {
        return calls.start(job, Context.root(), (_, outcome) -> outcomes.add(outcome));
    }

    DirectCall stream() {
        return start(job(true, Map.of()));
    }

    /** Returns when a server has had so many requests. */
    FakeNodes.Call call(String node, int number) {
        FakeNodes.Server server = nodes.server(node);
        Conditions.await(
                () -> server.calls().size() >= number, () -> server.calls().size() + " requests");
        return server.calls().get(number - 1);
    }

    /** Reads a call to its end. */
    static Read read(DirectCall call) throws InterruptedException {
        StringBuilder text = new StringBuilder();
        List<TokenEvent> deltas = new ArrayList<>();
        while (true) {
            switch (call.next()) {
                case DirectCall.Next.Piece(Answer.Head _, List<TokenEvent> some) -> {
                    deltas.addAll(some);
                    some.forEach(each -> text.append(each instanceof TokenEvent.Text one ? one.text() : ""));
                }
                case DirectCall.Next end -> {
                    return new Read(text.toString(), deltas, end);
                }
            }
        }
    }

    /** @param text the text of all pieces */
    record Read(String text, List<TokenEvent> deltas, DirectCall.Next end) {
        String answer() {
            return ((DirectCall.Next.Completed) end)
                    .answer()
                    .choices()
                    .getFirst()
                    .text()
                    .getOrDefault(TokenEvent.Field.CONTENT, "");
        }

        JobFailure failure() {
            return ((DirectCall.Next.Failed) end).failure();
        }
    }

    /** Lets time pass, and every stream sees it. */
    void pass(Duration length) {
        time.pass(length);
        nodes.all().forEach(node -> nodes.server(node.name()).calls().forEach(FakeNodes.Call::wake));
    }

    void awaitNoCalls() {
        Conditions.await(() -> calls.size() == 0, () -> calls.size() + " calls");
        assertThat(nodes.all())
                .allSatisfy(node -> assertThat(node.inFlight()).as(node.name()).isZero());
    }

    static TokenEvent text(String text) {
        return new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text);
    }
}
