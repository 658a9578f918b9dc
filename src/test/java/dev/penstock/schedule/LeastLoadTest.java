package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.route.Router;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.balance.LeastLoad;
import dev.penstock.route.balance.Option;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Which node of a pool a job gets. */
class LeastLoadTest {
    private static final int JOBS = 20_000;
    private static final Map<String, Double> TOKENS_PER_SECOND =
            Map.of("a", 8_000.0, "b", 8_000.0, "c", 4_000.0, "d", 4_000.0);
    /** The part of all servers' time that the prompts need. */
    private static final double USE = 0.7;

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
        List<Router.Candidate> pool = Stream.of(loads)
                .map(load -> new Router.Candidate(load.name(), "llama"))
                .toList();
        List<Option> options = NodesView.of(List.of(loads)).options(pool, Demand.ofChars(promptChars), _ -> true);
        return Objects.requireNonNull(new LeastLoad().first(options, chance))
                .candidate()
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
                work,
                1,
                false,
                0);
    }

    /**
     * Four servers, two of them half as fast, read one prompt after the other, and then stream the answer. The prompts
     * have 100 to 30,000 tokens, most of them few. The scheduler knows only what it has learnt from its own requests.
     */
    @Test
    void prompts_of_very_different_lengths_get_their_first_token_sooner_than_by_least_connections() {
        List<PoolSimulation.Job> jobs = jobs();
        long leastLoad = new PoolSimulation(TOKENS_PER_SECOND, 0, load -> load)
                .play(jobs, _ -> new LeastLoad())
                .millisToFirstToken(0.95);
        long leastConnections = new PoolSimulation(
                        TOKENS_PER_SECOND,
                        0,
                        load -> new NodesView.Load(
                                load.name(),
                                load.state(),
                                load.since(),
                                load.inFlight(),
                                load.limit(),
                                load.free(),
                                load.isTrial(),
                                load.models(),
                                NodeLoad.UNKNOWN,
                                load.weight(),
                                load.rests(),
                                load.calls()))
                .play(jobs, _ -> new LeastLoad())
                .millisToFirstToken(0.95);

        System.out.printf(
                "20,000 prompts of 100 to 30,000 tokens at four nodes: p95 to the first token %d ms with least-load, %d ms with least-connections: %.2f x%n",
                leastLoad, leastConnections, (double) leastLoad / leastConnections);
        assertThat(leastLoad).isLessThanOrEqualTo((long) (0.6 * leastConnections));
    }

    private static List<PoolSimulation.Job> jobs() {
        SplittableRandom chance = new SplittableRandom(11);
        double meanTokens = (30_000 - 100) / Math.log(300);
        double all =
                TOKENS_PER_SECOND.values().stream().mapToDouble(rate -> rate).sum();
        double at = 0;
        List<PoolSimulation.Job> jobs = new ArrayList<>();
        for (int i = 0; i < JOBS; i++) {
            at += -Math.log(1 - chance.nextDouble()) * meanTokens / (USE * all) * 1_000;
            long tokens = Math.round(100 * Math.pow(300, chance.nextDouble()));
            long answer = 1 + Math.round(-Math.log(1 - chance.nextDouble()) * 300);
            jobs.add(new PoolSimulation.Job(Math.round(at), i, 0, tokens, answer));
        }
        return jobs;
    }
}
