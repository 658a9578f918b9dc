package dev.penstock.route.balance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.route.Router;
import dev.penstock.route.StableHash;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** The orders that a rule can ask for. */
class OrderTest {
    private static final int KEYS = 20_000;
    private final SplittableRandom chance = new SplittableRandom(3);

    private static Option idle(String name) {
        return option(name, 0, 64, 1, 0);
    }

    private static Option option(String name, int inFlight, int limit, int weight, double secondsBefore) {
        return new Option(
                new Router.Candidate(name, "llama"),
                inFlight < limit,
                false,
                false,
                inFlight,
                limit,
                weight,
                new Option.Reading(secondsBefore * 1_000, 100, 1_000, false));
    }

    private static Option nearlyFull(String name) {
        return new Option(
                new Router.Candidate(name, "llama"),
                true,
                false,
                false,
                0,
                64,
                1,
                new Option.Reading(0, 100, 1_000, true));
    }

    private String first(Order order, Option... pool) {
        return first(order, List.of(pool));
    }

    private String first(Order order, List<Option> pool) {
        return Objects.requireNonNull(order.first(pool, chance)).node();
    }

    private static long key(int number) {
        return StableHash.of("key " + number);
    }

    private static List<Option> idle(int nodes) {
        return IntStream.range(0, nodes).mapToObj(i -> idle("gpu-" + i)).toList();
    }

    @Test
    void keys_divide_evenly_and_at_most_one_nth_of_them_moves_when_a_node_leaves() {
        List<Option> eight = idle(8);
        List<Option> seven = eight.subList(0, 7);
        Map<String, Integer> keys = new TreeMap<>();
        int moved = 0;
        int movedFromOthers = 0;
        for (int i = 0; i < KEYS; i++) {
            Order order = new SessionAffinity(key(i));
            String before = first(order, eight);
            String after = first(order, seven);
            keys.merge(before, 1, Integer::sum);
            moved += before.equals(after) ? 0 : 1;
            movedFromOthers += before.equals(after) || before.equals("gpu-7") ? 0 : 1;
        }

        System.out.printf("20,000 keys at eight nodes: %s; %d move when gpu-7 leaves%n", keys, moved);
        assertThat(keys.values()).allMatch(count -> Math.abs(count - KEYS / 8) < KEYS / 8 / 10);
        assertThat(movedFromOthers)
                .as("only the keys of the node that leaves move")
                .isZero();
        assertThat(moved).isEqualTo(keys.get("gpu-7"));
    }

    @Test
    void every_replica_has_the_same_order_however_it_lists_the_nodes() {
        List<Option> shuffled = new ArrayList<>(idle(8));
        Collections.reverse(shuffled);
        for (int i = 0; i < 1_000; i++) {
            Order order = new PrefixAffinity(key(i), 1.25);
            assertThat(first(order, shuffled)).isEqualTo(first(order, idle(8)));
        }
    }

    @Test
    void the_order_of_a_key_is_the_same_in_every_version() {
        assertThat(StableHash.of("job-1")).isEqualTo(-8_443_857_512_119_637_483L);
        assertThat(first(new SessionAffinity(StableHash.of("alice")), idle(8))).isEqualTo("gpu-1");
    }

    @Test
    void a_node_with_much_more_work_than_the_mean_is_left_for_the_next_one_of_the_order() {
        List<Option> idle = idle(4);
        Order order = new PrefixAffinity(key(1), 1.25);
        List<Option> inOrder = order.inOrder(idle);
        String first = inOrder.getFirst().node();
        String second = inOrder.get(1).node();

        assertThat(first(order, loaded(idle, first, 1.9))).as("2 s are allowed").isEqualTo(first);
        assertThat(first(order, loaded(idle, first, 2.1))).isEqualTo(second);
        assertThat(first(order, loaded(idle, "all", 9)))
                .as("all have as much work")
                .isEqualTo(first);
        assertThat(first(new PrefixAffinity(key(1), 5), loaded(idle, first, 9)))
                .as("a large bound")
                .isEqualTo(first);
        assertThat(first(new SessionAffinity(key(1)), loaded(idle, first, 9)))
                .as("a session stays")
                .isEqualTo(first);
        List<Option> loaded = loaded(idle, first, 9);
        assertThat(order.inOrder(loaded).getLast().node()).isEqualTo(first);
        assertThat(order.figure(order.inOrder(loaded).getLast(), loaded))
                .isEqualTo(
                        new Order.Figure(
                                1,
                                "place 1 in the order of the prompt's beginning; left for its load of 9.0 s, over 1.25 times the mean of 2.3 s"));
    }

    private static List<Option> loaded(List<Option> pool, String node, double seconds) {
        return pool.stream()
                .map(option -> option.node().equals(node) || node.equals("all")
                        ? option(option.node(), 0, 64, 1, seconds)
                        : option)
                .toList();
    }

    @Test
    void a_full_node_is_passed_and_its_jobs_return() {
        Order order = new SessionAffinity(key(7));
        List<Option> pool = idle(3);
        String first = first(order, pool);
        List<Option> full = pool.stream()
                .map(option -> option.node().equals(first) ? option(first, 64, 64, 1, 0) : option)
                .toList();

        assertThat(first(order, full)).isNotEqualTo(first);
        assertThat(first(order, pool)).isEqualTo(first);
        assertThat(order.first(List.of(option("a", 1, 1, 1, 0)), chance)).isNull();
    }

    @Test
    void the_node_with_the_fewest_requests_for_its_weight_comes_first() {
        assertThat(first(new Weighted(), option("a", 3, 64, 1, 0), option("b", 5, 64, 2, 0)))
                .isEqualTo("b");
        assertThat(first(new Weighted(), option("a", 2, 64, 1, 0), option("b", 5, 64, 2, 0)))
                .isEqualTo("a");
        assertThat(first(new Weighted(), option("a", 2, 64, 1, 0), option("b", 1, 1, 9, 0)))
                .as("b is full")
                .isEqualTo("a");
        assertThat(new Weighted().figure(option("b", 5, 64, 2, 0), List.of()))
                .isEqualTo(new Order.Figure(2.5, "5 in flight for weight 2: 2.50"));
    }

    @Test
    void jobs_divide_by_weight_whether_few_or_many_run() {
        Map<String, Integer> alone = new HashMap<>();
        Map<String, Integer> running = new HashMap<>(Map.of("a", 0, "b", 0));
        for (int i = 0; i < 4_000; i++) {
            alone.merge(
                    first(new Weighted(), option("a", 0, 9_999, 3, 0), option("b", 0, 9_999, 1, 0)), 1, Integer::sum);
            running.merge(
                    first(
                            new Weighted(),
                            option("a", running.getOrDefault("a", 0), 9_999, 3, 0),
                            option("b", running.getOrDefault("b", 0), 9_999, 1, 0)),
                    1,
                    Integer::sum);
        }

        assertThat(alone.get("a")).as("one job after the other").isBetween(2_900, 3_100);
        assertThat(running).as("4,000 jobs at once").containsEntry("a", 3_000).containsEntry("b", 1_000);
    }

    @Test
    void a_node_with_a_nearly_full_cache_comes_after_one_with_much_work() {
        Option busy = option("busy", 60, 64, 1, 100);

        assertThat(first(new LeastLoad(), nearlyFull("full"), busy)).isEqualTo("busy");
        assertThat(first(new Weighted(), nearlyFull("full"), busy)).isEqualTo("busy");
        assertThat(first(new LeastLoad(), nearlyFull("full"))).isEqualTo("full");
    }
}
