package dev.penstock.schedule;

import dev.penstock.job.Priority;
import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.route.Router;
import dev.penstock.route.balance.Demand;
import dev.penstock.schedule.slots.ReplicaSlots;
import dev.penstock.settings.Settings;
import dev.penstock.tenant.Tenants;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;

/**
 * A backlog of jobs and a number of calls at nodes with the same model, in played time. The replica holds 64 jobs at once,
 * like one with {@code intake.slots: 64}.
 */
final class PlayedLine {
    private static final int IN_HAND = 64;

    private final Schedule schedule;
    private final int slots;
    private final List<Integer> inFlight = new ArrayList<>();
    private final List<Integer> calls = new ArrayList<>();
    private final PriorityQueue<Event> events = new PriorityQueue<>();
    private final Duration job;
    private final Duration call;
    private int backlog;
    private int held;
    private long turns;
    private long now;
    /** How long each call that has started has waited. */
    final List<Duration> waits = new ArrayList<>();

    int startedJobs;
    int startedCalls;
    int joinedCalls;
    int refused;

    private record Event(long time, long number, Runnable action) implements Comparable<Event> {
        @Override
        public int compareTo(Event other) {
            return time == other.time ? Long.compare(number, other.number) : Long.compare(time, other.time);
        }
    }

    /** @param backlog the number of jobs */
    PlayedLine(int nodes, int slots, int backlog, Duration job, Duration call) {
        this.slots = slots;
        this.backlog = backlog;
        this.job = job;
        this.call = call;
        Tenants tenants = new Tenants(Map.of());
        schedule = new Schedule(
                new WaitingLine(0.1, tenants),
                new DeferralPolicy(Duration.ofSeconds(5), IN_HAND, tenants),
                new ReplicaSlots(IN_HAND, Map.of()),
                new Groups(_ -> false),
                tenants,
                new Settings.Admission(1_000, 0.25));
        for (int node = 0; node < nodes; node++) {
            inFlight.add(0);
            calls.add(0);
        }
        List<NodesView.Load> loads = new ArrayList<>();
        List<Router.Candidate> candidates = new ArrayList<>();
        for (int node = 0; node < nodes; node++) {
            loads.add(load(node));
            candidates.add(new Router.Candidate("n" + node, "llama"));
        }
        schedule.rerouted(
                new Placement(NodesView.of(loads), _ -> new Router.Route.To(List.of(candidates)), () -> 0), 0);
    }

    private NodesView.Load load(int node) {
        int taken = inFlight.get(node);
        return new NodesView.Load(
                "n" + node,
                Node.State.UP,
                0,
                taken,
                slots,
                slots - taken,
                false,
                List.of(),
                NodeLoad.UNKNOWN,
                1,
                false,
                calls.get(node));
    }

    void at(Duration time, Runnable action) {
        events.add(new Event(time.toNanos(), turns++, action));
    }

    /** Plays until that time, or until nothing happens any more. */
    void play(Duration until) {
        settle();
        while (!events.isEmpty() && events.element().time() <= until.toNanos()) {
            Event event = events.remove();
            now = event.time();
            event.action().run();
            settle();
        }
    }

    void callAndSettle() {
        call(Priority.NORMAL);
        settle();
    }

    void call(Priority priority) {
        joinedCalls++;
        join(priority, ReplicaSlots.NO_TOPIC);
    }

    private void join(Priority priority, String topic) {
        schedule.joined(
                new Wait(
                        turns++,
                        Script.key("llama"),
                        Demand.ofChars(0),
                        priority,
                        "default",
                        topic,
                        false,
                        false,
                        now,
                        Wait.NEVER,
                        Long.MAX_VALUE,
                        Set.of(),
                        Map.of()),
                now);
    }

    private void settle() {
        while (true) {
            while (backlog > 0 && held < IN_HAND) {
                backlog--;
                held++;
                join(Priority.NORMAL, "jobs");
            }
            switch (schedule.next(now, () -> false)) {
                case Decision.Grant(Wait wait, String node, String model) ->
                    start(wait, Integer.parseInt(node.substring(1)), model);
                case Decision.End(Wait wait, Admission how) -> {
                    if (!wait.isCall()) {
                        throw new AssertionError(wait + " ended: " + how);
                    }
                    refused++;
                }
                case Decision.Fetch fetch -> throw new AssertionError(fetch);
                case null -> {
                    return;
                }
            }
        }
    }

    private void start(Wait wait, int node, String model) {
        change(node, wait, 1);
        schedule.granted(wait, "n" + node, model, now);
        if (wait.isCall()) {
            startedCalls++;
            waits.add(Duration.ofNanos(now - wait.since()));
        } else {
            startedJobs++;
        }
        at(Duration.ofNanos(now).plus(wait.isCall() ? call : job), () -> end(wait, node));
    }

    private void end(Wait wait, int node) {
        change(node, wait, -1);
        if (!wait.isCall()) {
            held--;
        }
        schedule.slotGivenBack(wait.turn(), wait.topic());
    }

    private void change(int node, Wait wait, int by) {
        inFlight.set(node, inFlight.get(node) + by);
        calls.set(node, calls.get(node) + (wait.isCall() ? by : 0));
        schedule.changed(load(node));
    }

    /** Returns whether every node has as many requests as it takes. */
    boolean isBusy() {
        return inFlight.stream().allMatch(taken -> taken == slots);
    }
}
