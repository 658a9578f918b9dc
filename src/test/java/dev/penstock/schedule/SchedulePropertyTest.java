package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.route.RouteKey;
import dev.penstock.route.Router;
import dev.penstock.route.balance.Demand;
import dev.penstock.schedule.slots.ReplicaSlots;
import dev.penstock.settings.Settings;
import dev.penstock.tenant.TenantLimits;
import dev.penstock.tenant.Tenants;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Random events: {@link Schedule} decides as {@link NaiveSchedule} does. The naive one reads everything for each
 * decision. So equal decisions prove that the order is right, that no slot is granted twice, and that nothing waits
 * that could go.
 */
class SchedulePropertyTest {
    private static final List<String> MODELS = List.of("llama", "phi", "tiny", "qwen");
    private static final List<Priority> PRIORITIES = List.of(Priority.values());
    private static final int EVENTS = 400;
    private static final List<String> TENANTS = List.of("large", "small", "few", "slow", "short");
    private static final Map<String, TenantLimits> LIMITS = Map.of(
            "large",
            limits(3, 0, 0, 0),
            "few",
            limits(1, 2, 0, 0),
            "slow",
            limits(2, 0, 6, 0),
            "short",
            limits(1, 9, 0, 3_000));

    /** @param inFlight 0 for no limit, like all of them */
    private static TenantLimits limits(int weight, int inFlight, int requests, int tokens) {
        return new TenantLimits(weight, limit(inFlight), limit(requests), limit(tokens));
    }

    private static OptionalInt limit(int value) {
        return value == 0 ? OptionalInt.empty() : OptionalInt.of(value);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
    void decisions_are_those_of_the_naive_schedule(int tens) {
        Set<String> kinds = new HashSet<>();
        for (int seed = tens * 10; seed < tens * 10 + 10; seed++) {
            kinds.addAll(new Walk(seed).run());
        }
        assertThat(kinds).as("the walks get around").contains("@", ":late", ":down", ":full", ":limit");
    }

    /** A run that has a node now. */
    private record Running(Wait waiting, String node) {}

    private static final class Walk {
        private final int seed;
        private final SplittableRandom chance;
        private final Set<String> crowded = new HashSet<>();
        private final NaiveSchedule naive;
        private final Schedule schedule;
        private final List<Running> running = new ArrayList<>();
        private final int slots;
        private final Map<String, Integer> topicSlots = new HashMap<>(Map.of("small", 2));
        private final Set<String> kinds = new HashSet<>();
        private long now;
        private long turns;

        Walk(int seed) {
            this.seed = seed;
            chance = new SplittableRandom(seed);
            slots = 2 + chance.nextInt(20);
            double low = List.of(0.0, 0.2, 0.5, 0.9).get(chance.nextInt(4));
            naive = new NaiveSchedule(slots, low, crowded, new NaiveTenants(LIMITS));
            Tenants tenants = new Tenants(LIMITS);
            naive.topicSlots.putAll(topicSlots);
            schedule = new Schedule(
                    new WaitingLine(low, tenants),
                    new DeferralPolicy(Duration.ofNanos(NaiveSchedule.PARK), slots, tenants),
                    new ReplicaSlots(slots, topicSlots),
                    new Groups(_ -> false),
                    tenants,
                    new Settings.Admission(1_000, 0.25));
            for (int i = 0; i < 1 + chance.nextInt(5); i++) {
                Set<String> models = new HashSet<>(Set.of(model()));
                models.add(model());
                naive.nodes.put("n" + i, new NaiveSchedule.FakeNode(models, 1 + chance.nextInt(3)));
            }
            reroute();
        }

        /** @return the kinds of decisions that occurred */
        Set<String> run() {
            for (int i = 0; i < EVENTS; i++) {
                event();
                compare(i);
            }
            return kinds;
        }

        private void event() {
            switch (chance.nextInt(12)) {
                case 0, 1, 2, 3 -> join(nextWait(turns++, model(), false, Set.of(), Map.of()));
                case 4, 5 -> end(true);
                case 6 -> end(false);
                case 7 -> leave();
                case 8 -> changeNode();
                case 9 -> changeLimit();
                case 10 -> pass();
                default -> {
                    if (!crowded.remove("yes") && chance.nextInt(4) == 0) {
                        crowded.add("yes");
                    }
                }
            }
        }

        private Wait nextWait(
                long turn, String model, boolean holdsSlot, Set<String> useless, Map<String, Long> after) {
            boolean forLong = chance.nextInt(3) > 0;
            return new Wait(
                    turn,
                    new RouteKey(model, Task.CHAT, PromptJob.Pins.NONE),
                    Demand.ofChars(chance.nextInt(4_000)),
                    PRIORITIES.get(chance.nextInt(3)),
                    TENANTS.get(chance.nextInt(TENANTS.size())),
                    chance.nextInt(3) == 0 ? "small" : "large",
                    chance.nextInt(4) == 0,
                    holdsSlot,
                    now,
                    chance.nextInt(3) == 0 ? now + chance.nextLong(9_000_000_000L) : Wait.NEVER,
                    now
                            + Duration.ofMillis(forLong ? 60_000 : 1 + chance.nextInt(8_000))
                                    .toNanos(),
                    useless,
                    after);
        }

        private void join(Wait wait) {
            naive.join(wait);
            schedule.joined(wait, now);
        }

        /** @param forGood false if only the attempt has failed, and its run waits again */
        private void end(boolean forGood) {
            if (running.isEmpty()) {
                return;
            }
            Running ended = running.remove(chance.nextInt(running.size()));
            NaiveSchedule.FakeNode node = naive.node(ended.node());
            node.inFlight--;
            schedule.changed(load(ended.node()));
            Wait wait = ended.waiting();
            if (chance.nextInt(8) > 0) {
                long prompt = chance.nextInt(3) == 0 ? 0 : chance.nextInt(1_000);
                long answer = chance.nextInt(4) == 0 ? 0 : chance.nextInt(1_000);
                naive.tenants.used(wait.turn(), prompt, answer, Schedule.millis(now));
                schedule.tenants().used(wait.turn(), prompt, answer, Schedule.millis(now));
            }
            if (forGood) {
                naive.tenants.ended(wait.turn(), naive.waiting());
                naive.free++;
                naive.topicSlots.computeIfPresent(wait.topic(), (_, left) -> left + 1);
                schedule.slotGivenBack(wait.turn(), wait.topic());
            } else {
                Map<String, Long> after = new HashMap<>(wait.notBefore());
                Set<String> useless = new HashSet<>(wait.useless());
                if (chance.nextInt(4) == 0) {
                    useless.add(ended.node());
                } else {
                    after.put(
                            ended.node(),
                            now + Duration.ofMillis(chance.nextInt(1_000)).toNanos());
                }
                join(new Wait(
                        wait.turn(),
                        wait.key(),
                        wait.demand(),
                        wait.priority(),
                        wait.tenant(),
                        wait.topic(),
                        wait.deferredRecord(),
                        true,
                        now,
                        wait.due(),
                        now + Duration.ofSeconds(30).toNanos(),
                        useless,
                        after));
            }
        }

        private void leave() {
            if (!naive.waits.isEmpty()) {
                Wait wait = naive.waits.get(chance.nextInt(naive.waits.size()));
                naive.leave(wait);
                schedule.left(wait);
                if (wait.holdsSlot()) {
                    naive.free++;
                    naive.tenants.ended(wait.turn(), naive.waiting());
                    naive.topicSlots.computeIfPresent(wait.topic(), (_, left) -> left + 1);
                    schedule.slotGivenBack(wait.turn(), wait.topic());
                }
            }
        }

        private void changeNode() {
            NaiveSchedule.FakeNode node = anyNode();
            Node.State before = node.state;
            node.state = List.of(Node.State.UP, Node.State.UP, Node.State.DOWN, Node.State.LOADING)
                    .get(chance.nextInt(4));
            node.since = node.state == before ? node.since : now;
            reroute();
        }

        private void changeLimit() {
            NaiveSchedule.FakeNode node = anyNode();
            node.limit = 1 + chance.nextInt(4);
            naive.nodes.keySet().forEach(name -> schedule.changed(load(name)));
        }

        private NaiveSchedule.FakeNode anyNode() {
            return naive.node("n" + chance.nextInt(naive.nodes.size()));
        }

        /**
         * Time passes, but not beyond the time at which the schedule wants to be called: until then there is nothing to
         * do.
         */
        private void pass() {
            long next = schedule.nextTime(now);
            int most = chance.nextInt(10) > 0 ? 400 : chance.nextInt(4) > 0 ? 7_000 : 40_000;
            long step = Duration.ofMillis(1 + chance.nextInt(most)).toNanos();
            if (next > now + step) {
                now += step;
                assertNothingBefore(now);
            } else {
                assertNothingBefore(Math.max(now, next - 1));
                now = next;
            }
        }

        /** Except where memory and the age of starts decide: those are checked now and then. */
        private void assertNothingBefore(long time) {
            List<Wait> all = List.copyOf(naive.waits);
            assertThat(naive.limited(time))
                    .as("seed %d, no tenant's job is deferred before %d", seed, time)
                    .isEmpty();
            assertThat(naive.ends(time))
                    .as("seed %d, nothing ends before %d", seed, time)
                    .isEmpty();
            assertThat(all)
                    .as("seed %d, nothing can go before %d", seed, time)
                    .noneMatch(wait -> naive.canGo(wait, time));
        }

        private void reroute() {
            schedule.rerouted(
                    new Placement(
                            NodesView.of(naive.nodes.keySet().stream()
                                    .map(this::load)
                                    .toList()),
                            this::route,
                            () -> 0),
                    now);
        }

        private Router.Route route(RouteKey key) {
            List<Router.Candidate> candidates = naive.candidates(key).stream()
                    .map(node -> new Router.Candidate(node, String.valueOf(key.model())))
                    .toList();
            return new Router.Route.To(candidates.isEmpty() ? List.of() : List.of(candidates));
        }

        private NodesView.Load load(String name) {
            return load(name, naive.node(name).inFlight);
        }

        private NodesView.Load load(String name, int inFlight) {
            NaiveSchedule.FakeNode node = naive.node(name);
            return new NodesView.Load(
                    name,
                    node.state,
                    node.since,
                    inFlight,
                    node.limit,
                    Math.max(0, node.limit - inFlight),
                    false,
                    List.of(),
                    NodeLoad.UNKNOWN,
                    1,
                    false,
                    0);
        }

        private String model() {
            return MODELS.get(chance.nextInt(MODELS.size()));
        }

        private void compare(int event) {
            Map<Long, Wait> byTurn = new HashMap<>();
            naive.waits.forEach(wait -> byTurn.put(wait.turn(), wait));
            Map<String, Integer> before = new HashMap<>();
            naive.nodes.forEach((name, node) -> before.put(name, node.inFlight));
            List<String> expected = naive.settle(now);
            Map<String, Integer> inFlight = new HashMap<>(before);
            List<String> decisions = new ArrayList<>();
            for (Decision decision = schedule.next(now, () -> !crowded.isEmpty());
                    decision != null;
                    decision = schedule.next(now, () -> !crowded.isEmpty())) {
                switch (decision) {
                    case Decision.Grant(Wait waiting, String name, String model) -> {
                        NaiveSchedule.FakeNode node = naive.node(name);
                        int taken = inFlight.merge(name, 1, Integer::sum);
                        assertThat(taken)
                                .as("seed %d: requests at %s", seed, name)
                                .isLessThanOrEqualTo(node.limit);
                        schedule.changed(load(name, taken));
                        schedule.granted(waiting, name, model, now);
                        running.add(new Running(waiting, name));
                        decisions.add(waiting.turn() + "@" + name);
                    }
                    case Decision.End(Wait waiting, Admission how) ->
                        decisions.add(waiting.turn()
                                + (how instanceof Admission.TimedOut
                                        ? ":late"
                                        : how.equals(new Admission.Deferred(Admission.Cause.NODES_DOWN))
                                                ? ":down"
                                                : how.equals(new Admission.Deferred(Admission.Cause.TENANT_LIMIT))
                                                        ? ":limit"
                                                        : ":full"));
                    case Decision.Fetch fetch -> throw new AssertionError(fetch);
                }
            }
            decisions.forEach(
                    decision -> kinds.add(decision.contains("@") ? "@" : decision.substring(decision.indexOf(':'))));
            assertThat(inOrder(decisions))
                    .as("seed %d, event %d, waiting %s", seed, event, byTurn.values())
                    .isEqualTo(inOrder(expected));
            long holding = Stream.concat(
                            running.stream().map(Running::waiting),
                            naive.waits.stream().filter(Wait::holdsSlot))
                    .count();
            assertThat(holding).as("slots of the replica").isLessThanOrEqualTo(slots);
            assertThat(schedule.waits(Priority.HIGH) + schedule.waits(Priority.NORMAL) + schedule.waits(Priority.LOW))
                    .isEqualTo(naive.waits.size());
        }

        /** Outages defer the waits of several keys in any order, and limits those of several tenants. */
        private static List<String> inOrder(List<String> decisions) {
            List<String> sorted = new ArrayList<>(decisions.stream()
                    .filter(Walk::isInAnyOrder)
                    .sorted(Comparator.naturalOrder())
                    .toList());
            decisions.stream().filter(decision -> !isInAnyOrder(decision)).forEach(sorted::add);
            return sorted;
        }

        private static boolean isInAnyOrder(String decision) {
            return decision.endsWith(":down") || decision.endsWith(":limit");
        }
    }
}
