package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Usage;
import dev.penstock.node.FakeNodes;
import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.route.Router;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.PlayedClock;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Which node of a pool a job gets. */
class LeastLoadTest {
    private static final NodeLoad FAST = new NodeLoad(0, 10_000, 4);
    private static final NodeLoad SLOW = new NodeLoad(0, 1_000, 4);

    @Test
    void without_a_known_rate_the_least_share_of_the_slots_decides() {
        assertThat(best(0, node("a", 3, 4), node("b", 1, 4), node("c", 1, 2))).isEqualTo("b");
    }

    @Test
    void the_node_that_gives_the_first_token_soonest_comes_first() {
        assertThat(best(4_000, node("slow", 0, 8, SLOW), node("fast", 6, 8, FAST)))
                .isEqualTo("fast");
        assertThat(best(4_000, node("slow", 0, 8, SLOW), node("fast", 6, 8, new NodeLoad(30_000, 10_000, 4))))
                .as("3 s of prompts wait there")
                .isEqualTo("slow");
    }

    @Test
    void among_nodes_that_are_about_as_fast_the_least_share_decides() {
        assertThat(best(400, node("a", 4, 8, new NodeLoad(0, 1_010, 4)), node("b", 1, 8, SLOW)))
                .isEqualTo("b");
    }

    @Test
    void a_node_with_an_unknown_rate_is_taken_as_usual() {
        assertThat(best(4_000, node("a", 1, 8, new NodeLoad(9_000, 1_000, 4)), node("new", 2, 8)))
                .isEqualTo("new");
    }

    @Test
    void a_node_that_has_the_model_loaded_comes_before_one_that_must_load_it() {
        NodesView.Load cold = load("cold", 0, 4, true, false, FAST);
        NodesView.Load warm = load("warm", 3, 4, false, false, SLOW);
        assertThat(best(4_000, cold, warm)).isEqualTo("warm");
        assertThat(best(4_000, warm, cold)).isEqualTo("warm");
        assertThat(best(4_000, cold)).isEqualTo("cold");
    }

    @Test
    void a_node_whose_breaker_lets_a_job_through_comes_first() {
        assertThat(best(0, node("a", 0, 4), load("tried", 1, 4, false, true, SLOW)))
                .isEqualTo("tried");
    }

    @Test
    void above_eight_nodes_the_better_of_two_random_ones_is_taken() {
        NodesView.Load[] nodes =
                IntStream.range(0, 9).mapToObj(i -> node("n" + i, i, 10)).toArray(NodesView.Load[]::new);
        SplittableRandom chance = new SplittableRandom(7);
        Map<String, Integer> taken = new HashMap<>();
        for (int i = 0; i < 9_000; i++) {
            taken.merge(best(0, chance, nodes), 1, Integer::sum);
        }

        assertThat(taken.get("n0")).as("two of nine draws have it").isBetween(1_850, 2_150);
        assertThat(taken.get("n4")).isBetween(850, 1_150);
        assertThat(taken).doesNotContainKey("n8");
    }

    private static String best(long promptChars, NodesView.Load... loads) {
        return best(promptChars, new SplittableRandom(1), loads);
    }

    private static String best(long promptChars, SplittableRandom chance, NodesView.Load... loads) {
        return Objects.requireNonNull(LeastLoad.best(
                        Stream.of(loads)
                                .map(load -> new Router.Candidate(load.name(), "llama"))
                                .toList(),
                        NodesView.of(List.of(loads)),
                        _ -> true,
                        promptChars,
                        chance))
                .node();
    }

    private static NodesView.Load node(String name, int inFlight, int limit) {
        return node(name, inFlight, limit, NodeLoad.UNKNOWN);
    }

    private static NodesView.Load node(String name, int inFlight, int limit, NodeLoad work) {
        return load(name, inFlight, limit, false, false, work);
    }

    private static NodesView.Load load(
            String name, int inFlight, int limit, boolean mustLoad, boolean isTrial, NodeLoad work) {
        return new NodesView.Load(
                name,
                Node.State.UP,
                0,
                inFlight,
                limit,
                limit - inFlight,
                isTrial,
                List.of(new WireProtocol.Model("llama", !mustLoad, null)),
                work);
    }

    /**
     * Four servers, two of them half as fast, read one prompt after the other, and then stream the answer. The prompts
     * have 100 to 30,000 tokens, most of them few. The scheduler knows only what it has learnt from its own requests.
     */
    @Test
    void prompts_of_very_different_lengths_get_their_first_token_sooner_than_by_least_connections() {
        long leastLoad = new Simulation(load -> load).p95Millis();
        long leastConnections = new Simulation(load -> new NodesView.Load(
                        load.name(),
                        load.state(),
                        load.since(),
                        load.inFlight(),
                        load.limit(),
                        load.free(),
                        load.isTrial(),
                        load.models(),
                        NodeLoad.UNKNOWN))
                .p95Millis();

        System.out.printf(
                "20,000 prompts of 100 to 30,000 tokens at four nodes: p95 to the first token %d ms with least-load, %d ms with least-connections: %.2f x%n",
                leastLoad, leastConnections, (double) leastLoad / leastConnections);
        assertThat(leastLoad).isLessThanOrEqualTo((long) (0.6 * leastConnections));
    }

    private static final class Simulation {
        private static final int JOBS = 20_000;
        private static final double CHARS_PER_TOKEN = 3.3;
        private static final Map<String, Double> TOKENS_PER_SECOND =
                Map.of("a", 8_000.0, "b", 8_000.0, "c", 4_000.0, "d", 4_000.0);
        /** The part of all servers' time that the prompts need. */
        private static final double USE = 0.7;

        private final SplittableRandom chance = new SplittableRandom(11);
        private final AtomicLong millis = new AtomicLong();
        private final FakeNodes nodes;
        private final UnaryOperator<NodesView.Load> seen;
        private final PriorityQueue<Event> events = new PriorityQueue<>();
        private final Map<String, Long> readUntil = new HashMap<>();
        private final long[] firstTokens = new long[JOBS];

        private record Event(long millis, long turn, Runnable happens) implements Comparable<Event> {
            @Override
            public int compareTo(Event other) {
                return millis == other.millis ? Long.compare(turn, other.turn) : Long.compare(millis, other.millis);
            }
        }

        /** @param seen what the scheduler sees of a node's load */
        private Simulation(UnaryOperator<NodesView.Load> seen) {
            this.seen = seen;
            Map<String, String> keys = new HashMap<>();
            for (String node : TOKENS_PER_SECOND.keySet()) {
                TestSettings.node(node, "vllm", 256).forEach((key, value) -> keys.put("penstock." + key, value));
            }
            nodes = new FakeNodes(
                    TestSettings.ofFile(keys), PlayedClock.of(() -> Instant.ofEpochMilli(millis.get())), (_, _) -> {});
            TOKENS_PER_SECOND.keySet().forEach(node -> nodes.server(node).up("llama"));
        }

        private long p95Millis() {
            double meanTokens = (30_000 - 100) / Math.log(300);
            double all = TOKENS_PER_SECOND.values().stream()
                    .mapToDouble(rate -> rate)
                    .sum();
            double at = 0;
            for (int i = 0; i < JOBS; i++) {
                at += -Math.log(1 - chance.nextDouble()) * meanTokens / (USE * all) * 1_000;
                int job = i;
                long tokens = Math.round(100 * Math.pow(300, chance.nextDouble()));
                long answer = 1 + Math.round(-Math.log(1 - chance.nextDouble()) * 300);
                event(Math.round(at), () -> arrives(job, tokens, answer));
            }
            for (Event next = events.poll(); next != null; next = events.poll()) {
                millis.set(next.millis());
                next.happens().run();
            }
            Arrays.sort(firstTokens);
            return firstTokens[(int) (JOBS * 0.95)];
        }

        private void arrives(int job, long tokens, long answer) {
            long chars = Math.round(tokens * CHARS_PER_TOKEN);
            List<NodesView.Load> loads = nodes.all().stream()
                    .map(node -> seen.apply(NodesView.Load.of(node, 0)))
                    .toList();
            String name = Objects.requireNonNull(LeastLoad.best(
                            loads.stream()
                                    .map(load -> new Router.Candidate(load.name(), "llama"))
                                    .toList(),
                            NodesView.of(loads),
                            _ -> true,
                            chars,
                            chance))
                    .node();
            Node.Slot slot =
                    Objects.requireNonNull(nodes.find(name).orElseThrow().tryAcquire(chars));
            long now = millis.get();
            long first = Math.max(now, readUntil.getOrDefault(name, 0L))
                    + Math.round(tokens / TOKENS_PER_SECOND.getOrDefault(name, 1.0) * 1_000);
            readUntil.put(name, first);
            firstTokens[job] = first - now;
            event(first, slot::heard);
            double seconds = answer / 40.0;
            event(first + Math.round(seconds * 1_000), () -> {
                slot.answered(new Usage(tokens, answer), seconds);
                slot.close();
            });
        }

        private void event(long at, Runnable happens) {
            events.add(new Event(at, events.size(), happens));
        }
    }
}
