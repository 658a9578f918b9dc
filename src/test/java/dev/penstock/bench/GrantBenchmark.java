package dev.penstock.bench;

import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.Node;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.schedule.Admission;
import dev.penstock.schedule.Avoid;
import dev.penstock.schedule.QueueEntry;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What one grant costs the thread that frees a node's slot, while many jobs wait: 100 nodes with one slot each, 21 route keys
 * (20 with five nodes each, one with all). A grant chooses the first job that may go there, takes the slot for it and wakes it.
 * Each granted job is replaced by another one before the next measurement.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 6, time = 2)
@Fork(1)
public class GrantBenchmark {
    private static final int NODES = 100;
    private static final int MODELS = 20;

    @Param({"100", "1000", "10000"})
    public int waiting;

    private final LinkedBlockingQueue<Node.Slot> granted = new LinkedBlockingQueue<>();
    private final List<Node.Slot> held = new ArrayList<>();
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    private final FakeNodes nodes;
    private final Scheduler scheduler;

    public GrantBenchmark() {
        Map<String, String> file =
                new HashMap<>(Map.of("penstock.intake.slots", "20000", "penstock.intake.park", "1h"));
        for (int i = 0; i < NODES; i++) {
            String key = "penstock.nodes.node-" + i + ".";
            file.putAll(Map.of(key + "backend", "vllm", key + "url", "http://127.0.0.1:1", key + "max-in-flight", "1"));
        }
        Settings settings = TestSettings.ofFile(file);
        nodes = new FakeNodes(settings, Clock.systemUTC());
        scheduler = new Scheduler(settings, nodes, Clock.systemUTC(), meters);
    }

    @Setup(Level.Trial)
    public void fill() {
        for (int i = 0; i < NODES; i++) {
            nodes.server("node-" + i).up("model-" + i % MODELS, "common");
            held.add(
                    Objects.requireNonNull(nodes.find("node-" + i).orElseThrow().tryAcquire(0, false)));
        }
        for (int i = 0; i < waiting; i++) {
            int model = i % (MODELS + 1);
            RouteKey key = new RouteKey(model == MODELS ? "common" : "model-" + model, Task.CHAT, PromptJob.Pins.NONE);
            Thread.ofVirtual().start(() -> waitAgainAndAgain(key));
        }
        awaitFull();
    }

    private void waitAgainAndAgain(RouteKey key) {
        try {
            while (true) {
                try (QueueEntry entry = scheduler.enter(
                        key, Demand.ofChars(0), Priority.NORMAL, "default", "prompt-jobs", false, null)) {
                    if (entry.await(Avoid.NOTHING, Duration.ofHours(5))
                            instanceof Admission.Granted(Node.Slot slot, String _)) {
                        granted.add(slot);
                    }
                }
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    private void awaitFull() {
        while (meters.get("penstock.jobs.waiting")
                        .tag("priority", "normal")
                        .gauge()
                        .value()
                < waiting) {
            LockSupport.parkNanos(20_000);
        }
    }

    @Setup(Level.Invocation)
    public void refill() throws InterruptedException {
        awaitFull();
        while (held.size() < NODES) {
            held.add(granted.take());
        }
    }

    @Benchmark
    @OperationsPerInvocation(NODES)
    public void grant() {
        held.forEach(Node.Slot::close);
        held.clear();
    }
}
