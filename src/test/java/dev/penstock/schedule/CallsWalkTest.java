package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.Priority;
import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.route.Router;
import dev.penstock.route.balance.Demand;
import dev.penstock.schedule.slots.CallShare;
import dev.penstock.schedule.slots.ReplicaSlots;
import dev.penstock.settings.Settings;
import dev.penstock.tenant.TenantLimits;
import dev.penstock.tenant.Tenants;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Random events with jobs and direct calls. After each decision, rules in their simplest form hold: each slot goes to the
 * kind whose turn it is, nothing waits that could start, and each refusal has its reason.
 */
class CallsWalkTest {
    private static final List<String> MODELS = List.of("llama", "phi");
    private static final List<Priority> PRIORITIES = List.of(Priority.values());
    private static final int EVENTS = 400;
    private static final Map<String, TenantLimits> LIMITS = Map.of(
            "few",
            new TenantLimits(1, OptionalInt.of(3), OptionalInt.empty(), OptionalInt.empty()),
            "slow",
            new TenantLimits(1, OptionalInt.empty(), OptionalInt.of(9), OptionalInt.empty()));

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7})
    void each_decision_has_its_reason(int tens) {
        Set<String> seen = new HashSet<>();
        for (int seed = tens * 25; seed < tens * 25 + 25; seed++) {
            seen.addAll(new Walk(seed).run());
        }
        assertThat(seen)
                .as("the walks get around")
                .contains("job", "call", "job before a call", "call before a job", "late", "tenant", "no_node", "full");
    }

    private static final class FakeNode {
        private final Set<String> models;
        private Node.State state = Node.State.UP;
        private long since;
        private int limit;
        private int inFlight;
        private int calls;
        private boolean latestIsCall;

        private FakeNode(Set<String> models, int limit) {
            this.models = models;
            this.limit = limit;
        }
    }

    private record Running(Wait waiting, String node) {}

    private static final class Walk {
        private final String title;
        private final SplittableRandom chance;
        private final Map<String, FakeNode> nodes = new TreeMap<>();
        private final List<Wait> waits = new ArrayList<>();
        private final List<Running> running = new ArrayList<>();
        private final Set<String> seen = new HashSet<>();
        private final Tenants tenants = new Tenants(LIMITS);
        private final CallShare share;
        private final int most;
        private final Schedule schedule;
        private int free;
        private long now;
        private long turns;

        Walk(int seed) {
            title = "seed " + seed;
            chance = new SplittableRandom(seed);
            free = 2 + chance.nextInt(12);
            most = 1 + chance.nextInt(6);
            double part = List.of(0.0, 0.25, 0.5, 1.0).get(chance.nextInt(4));
            share = new CallShare(part);
            schedule = new Schedule(
                    new WaitingLine(0.2, tenants),
                    new DeferralPolicy(Duration.ofSeconds(1), free, tenants),
                    new ReplicaSlots(free, Map.of()),
                    new Groups(_ -> false),
                    tenants,
                    new Settings.Admission(most, part));
            for (int i = 0; i < 1 + chance.nextInt(4); i++) {
                nodes.put(
                        "n" + i,
                        new FakeNode(
                                Set.copyOf(chance.nextBoolean() ? MODELS : MODELS.subList(0, 1)),
                                1 + chance.nextInt(5)));
            }
            reroute();
        }

        Set<String> run() {
            for (int i = 0; i < EVENTS; i++) {
                event();
                settle();
                assertNothingIsLeft();
            }
            return seen;
        }

        private void event() {
            switch (chance.nextInt(10)) {
                case 0, 1 -> join(next("jobs"));
                case 2, 3, 4 -> join(next(ReplicaSlots.NO_TOPIC));
                case 5, 6 -> end(true);
                case 7 -> end(false);
                case 8 -> {
                    FakeNode node = node("n" + chance.nextInt(nodes.size()));
                    node.state = chance.nextInt(4) > 0 ? Node.State.UP : Node.State.DOWN;
                    node.since = now;
                    node.limit = 1 + chance.nextInt(5);
                    reroute();
                }
                default -> now += Duration.ofMillis(chance.nextInt(3_000)).toNanos();
            }
        }

        private Wait next(String topic) {
            String model = MODELS.get(chance.nextInt(MODELS.size()));
            String tenant = List.of("any", "few", "slow").get(chance.nextInt(3));
            Priority priority = PRIORITIES.get(chance.nextInt(3));
            return wait(turns++, model, tenant, priority, topic, false, Set.of(), Map.of());
        }

        private Wait wait(
                long turn,
                String model,
                String tenant,
                Priority priority,
                String topic,
                boolean holdsSlot,
                Set<String> useless,
                Map<String, Long> after) {
            long end = now + Duration.ofMillis(5_000 + chance.nextInt(20_000)).toNanos();
            return new Wait(
                    turn,
                    Script.key(model),
                    Demand.ofChars(0),
                    priority,
                    tenant,
                    topic,
                    false,
                    holdsSlot,
                    now,
                    Wait.NEVER,
                    end,
                    useless,
                    after);
        }

        private void join(Wait wait) {
            waits.add(wait);
            schedule.joined(wait, now);
        }

        private void end(boolean forGood) {
            if (running.isEmpty()) {
                return;
            }
            Running ended = running.remove(chance.nextInt(running.size()));
            Wait wait = ended.waiting();
            FakeNode node = node(ended.node());
            node.inFlight--;
            node.calls -= wait.isCall() ? 1 : 0;
            schedule.changed(load(ended.node()));
            if (!forGood) {
                boolean isUseless = chance.nextInt(4) == 0;
                long from = now + Duration.ofMillis(chance.nextInt(1_000)).toNanos();
                join(wait(
                        wait.turn(),
                        String.valueOf(wait.key().model()),
                        wait.tenant(),
                        wait.priority(),
                        wait.topic(),
                        true,
                        isUseless ? Set.of(ended.node()) : Set.of(),
                        isUseless ? Map.of() : Map.of(ended.node(), from)));
            } else {
                free += wait.isCall() ? 0 : 1;
                schedule.slotGivenBack(wait.turn(), wait.topic());
            }
        }

        private void settle() {
            for (Decision decision = schedule.next(now, () -> false);
                    decision != null;
                    decision = schedule.next(now, () -> false)) {
                switch (decision) {
                    case Decision.Grant(Wait wait, String name, String model) -> grant(wait, name, model);
                    case Decision.End(Wait wait, Admission how) -> {
                        if (wait.isCall()) {
                            assertReason(wait, how);
                        }
                        waits.remove(wait);
                        if (wait.holdsSlot()) {
                            free += wait.isCall() ? 0 : 1;
                            schedule.slotGivenBack(wait.turn(), wait.topic());
                        }
                    }
                    case Decision.Fetch fetch -> throw new AssertionError(fetch);
                }
            }
        }

        private void grant(Wait wait, String name, String model) {
            FakeNode node = node(name);
            assertThat(canGo(wait, name))
                    .as("%s: %s can go to %s", title, wait, name)
                    .isTrue();
            boolean isContested =
                    waits.stream().anyMatch(other -> other.isCall() != wait.isCall() && canGo(other, name));
            if (isContested) {
                assertThat(share.isForCalls(node.limit, node.calls, node.latestIsCall))
                        .as("%s: %s at %s, where %d of %d are calls", title, wait, name, node.calls, node.limit)
                        .isEqualTo(wait.isCall());
                seen.add(wait.isCall() ? "call before a job" : "job before a call");
            }
            seen.add(wait.isCall() ? "call" : "job");
            node.inFlight++;
            node.calls += wait.isCall() ? 1 : 0;
            node.latestIsCall = wait.isCall();
            schedule.changed(load(name));
            schedule.granted(wait, name, model, now);
            waits.remove(wait);
            free -= wait.isCall() || wait.holdsSlot() ? 0 : 1;
            running.add(new Running(wait, name));
        }

        private void assertReason(Wait call, Admission how) {
            switch (how) {
                case Admission.TimedOut() -> {
                    seen.add("late");
                    assertThat(call.end()).isLessThanOrEqualTo(now);
                }
                case Admission.Refused(JobFailure failure)
                when failure.code() == JobFailure.Code.NO_NODE -> {
                    seen.add("no_node");
                    assertThat(hasNodeUp(call))
                            .as("%s: %s has a node", title, call)
                            .isFalse();
                }
                case Admission.Refused(JobFailure failure)
                when failure.message().contains("max-waiting") -> {
                    seen.add("full");
                    assertThat(waits.stream().filter(Wait::isCall).count())
                            .as("%s: %s is one too many", title, call)
                            .isGreaterThan(most);
                    assertThat(call.holdsSlot()).isFalse();
                    assertThat(couldGo(call))
                            .as("%s: %s could start", title, call)
                            .isFalse();
                }
                case Admission.Refused(JobFailure failure) -> {
                    seen.add("tenant");
                    assertThat(failure.code()).isEqualTo(JobFailure.Code.RATE_LIMITED);
                    long fresh = waits.stream()
                            .filter(wait -> wait.isCall()
                                    && !wait.holdsSlot()
                                    && wait.tenant().equals(call.tenant()))
                            .count();
                    assertThat(tenants.room(call.tenant(), Schedule.millis(now)))
                            .as("%s: the tenant of %s", title, call)
                            .isLessThan((int) fresh);
                    assertThat(call.holdsSlot()).isFalse();
                }
                case Admission.Granted _, Admission.Deferred _, Admission.Stopped _ -> throw new AssertionError(how);
            }
        }

        private void assertNothingIsLeft() {
            assertThat(waits).as("%s: could start", title).noneMatch(this::couldGo);
            assertThat(waits)
                    .as("%s: calls without a node", title)
                    .noneMatch(wait -> wait.isCall() && !hasNodeUp(wait));
            assertThat(waits.stream()
                            .filter(wait -> wait.isCall() && !wait.holdsSlot())
                            .count())
                    .as(title)
                    .isLessThanOrEqualTo(most);
        }

        private boolean couldGo(Wait wait) {
            return nodes.keySet().stream().anyMatch(name -> canGo(wait, name));
        }

        private boolean canGo(Wait wait, String name) {
            FakeNode node = node(name);
            boolean mayStart = wait.holdsSlot()
                    || ((wait.isCall() || free > 0) && tenants.mayStart(wait.tenant(), Schedule.millis(now)));
            return mayStart
                    && node.state == Node.State.UP
                    && node.inFlight < node.limit
                    && node.models.contains(wait.key().model())
                    && (wait.isFresh(name) || wait.isAgain(name, now));
        }

        private boolean hasNodeUp(Wait wait) {
            return nodes.entrySet().stream()
                    .anyMatch(node -> node.getValue().state == Node.State.UP
                            && node.getValue().models.contains(wait.key().model())
                            && !wait.useless().contains(node.getKey()));
        }

        private void reroute() {
            Map<String, Router.Route> routes = new HashMap<>();
            for (String model : MODELS) {
                List<Router.Candidate> having = nodes.entrySet().stream()
                        .filter(node -> node.getValue().models.contains(model))
                        .map(node -> new Router.Candidate(node.getKey(), model))
                        .toList();
                routes.put(model, new Router.Route.To(having.isEmpty() ? List.of() : List.of(having)));
            }
            List<NodesView.Load> loads = nodes.keySet().stream().map(this::load).toList();
            schedule.rerouted(
                    new Placement(
                            NodesView.of(loads),
                            key -> routes.getOrDefault(String.valueOf(key.model()), new Router.Route.To(List.of())),
                            () -> 0),
                    now);
        }

        private FakeNode node(String name) {
            return nodes.getOrDefault(name, new FakeNode(Set.of(), 0));
        }

        private NodesView.Load load(String name) {
            FakeNode node = node(name);
            return new NodesView.Load(
                    name,
                    node.state,
                    node.since,
                    node.inFlight,
                    node.limit,
                    Math.max(0, node.limit - node.inFlight),
                    false,
                    List.of(),
                    NodeLoad.UNKNOWN,
                    1,
                    false,
                    node.calls);
        }
    }
}
