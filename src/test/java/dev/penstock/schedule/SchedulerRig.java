package dev.penstock.schedule;

import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.Node;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;

/** A scheduler with servers that a test plays, and with time that moves only by calls of the test. */
final class SchedulerRig {
    static final Duration LONG = Duration.ofHours(1);

    private final PausedTime time = new PausedTime();
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    final Clock clock = time.clock();
    final Settings settings;
    final FakeNodes nodes;
    final Scheduler scheduler;

    /** @param keys keys of the configuration, without {@code penstock.} */
    @SafeVarargs
    SchedulerRig(Map<String, String>... keys) {
        Map<String, String> file = new HashMap<>();
        for (Map<String, String> some : keys) {
            some.forEach((key, value) -> file.put("penstock." + key, value));
        }
        settings = TestSettings.ofFile(file);
        nodes = new FakeNodes(settings, clock);
        scheduler = time.scheduler(settings, nodes, meters);
    }

    static Map<String, String> node(String name, int slots) {
        return Map.of(
                "nodes." + name + ".backend",
                "vllm",
                "nodes." + name + ".url",
                "http://127.0.0.1:1",
                "nodes." + name + ".max-in-flight",
                Integer.toString(slots));
    }

    /** The timers of that time run one after the other. */
    void pass(Duration length) {
        time.pass(length);
    }

    /** Returns the number of timers that are set. */
    int timers() {
        return time.timers();
    }

    QueueEntry enter(String model) {
        return enter(model, Priority.NORMAL, false);
    }

    QueueEntry enter(String model, Priority priority, boolean deferredRecord) {
        return enter(model, priority, "default", deferredRecord);
    }

    QueueEntry enter(String model, Priority priority, String tenant, boolean deferredRecord) {
        RouteKey key = new RouteKey(model, Task.CHAT, PromptJob.Pins.NONE);
        return scheduler.enter(key, Demand.ofChars(0), priority, tenant, "prompt-jobs", deferredRecord, null);
    }

    QueueEntry enterCall(String model) {
        return enterCall(model, "default");
    }

    QueueEntry enterCall(String model, String tenant) {
        return enterCall(model, Priority.NORMAL, tenant);
    }

    QueueEntry enterCall(String model, Priority priority, String tenant) {
        RouteKey key = new RouteKey(model, Task.CHAT, PromptJob.Pins.NONE);
        return scheduler.enterCall(key, Demand.ofChars(0), priority, tenant, null);
    }

    Node node(String name) {
        return nodes.find(name).orElseThrow();
    }

    Node.Slot take(String node) {
        return Objects.requireNonNull(node(node).tryAcquire(0, false));
    }

    double waiting(String priority) {
        return gauge("penstock.jobs.waiting", "priority", priority);
    }

    double gauge(String name, String tag, String value) {
        return meters.get(name).tag(tag, value).gauge().value();
    }

    /** A wait on a thread of its own. */
    static final class Waiting {
        final QueueEntry entry;
        final Thread thread;
        private final CompletableFuture<Admission> admission = new CompletableFuture<>();

        private Waiting(QueueEntry entry, Avoid avoid, Duration atMost) {
            this.entry = entry;
            thread = Thread.ofVirtual().start(() -> {
                try {
                    admission.complete(entry.await(avoid, atMost));
                } catch (InterruptedException e) {
                    admission.completeExceptionally(e);
                }
            });
        }

        boolean isOver() {
            return admission.isDone();
        }

        Admission result() {
            Conditions.await(admission::isDone, () -> "it still waits");
            return admission.join();
        }

        Node.Slot slot() {
            return ((Admission.Granted) result()).slot();
        }

        boolean wasInterrupted() {
            Conditions.await(admission::isDone, () -> "it still waits");
            return admission.isCompletedExceptionally();
        }
    }

    Waiting waits(QueueEntry entry) {
        return waits(entry, Avoid.NOTHING, LONG);
    }

    /** Returns when it waits, or when its wait is over. */
    Waiting waits(QueueEntry entry, Avoid avoid, Duration atMost) {
        double before = waiting();
        Waiting waiting = new Waiting(entry, avoid, atMost);
        Conditions.await(() -> waiting.isOver() || waiting() > before, () -> "it does not wait");
        return waiting;
    }

    /** Returns when each of them waits, or when its wait is over. */
    List<Waiting> waits(int count, String model) {
        double before = waiting();
        List<Waiting> all = Stream.generate(() -> new Waiting(enter(model), Avoid.NOTHING, LONG))
                .limit(count)
                .toList();
        Conditions.await(
                () -> all.stream().filter(Waiting::isOver).count() + waiting() - before >= count,
                () -> "they do not wait");
        return all;
    }

    private double waiting() {
        return Stream.of("high", "normal", "low")
                .mapToDouble(priority -> waiting(priority) + gauge("penstock.calls.waiting", "priority", priority))
                .sum();
    }
}
