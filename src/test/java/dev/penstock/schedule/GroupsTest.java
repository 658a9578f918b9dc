package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Priority;
import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.route.Router;
import dev.penstock.route.Targets;
import dev.penstock.route.balance.Demand;
import dev.penstock.schedule.slots.ReplicaSlots;
import dev.penstock.settings.Backend;
import dev.penstock.settings.Placing;
import dev.penstock.settings.Settings;
import dev.penstock.tenant.Tenants;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

class GroupsTest {
    private static final String SWAPPER = "node a 1 A,B,C; swaps a; ";

    private static final Duration LOAD = Duration.ofSeconds(2);
    private static final Duration JOB = Duration.ofMillis(100);

    @Test
    void jobs_for_the_model_that_the_node_holds_go_first() {
        assertThat(
                        Script.play(
                                "",
                                SWAPPER
                                        + "join 1 A; join 2 B; join 3 A; join 4 B; join 5 C; done 1; done 3; done 2; done 4; done 5"))
                .isEqualTo("1@a 3@a 2@a! 4@a 5@a!");
    }

    @Test
    void other_nodes_keep_the_order() {
        assertThat(Script.play("", "node a 1 A,B; join 1 A; join 2 B; join 3 A; done 1; done 2; done 3"))
                .isEqualTo("1@a 2@a 3@a");
    }

    @Test
    void a_job_gives_way_for_ten_seconds_and_not_longer() {
        assertThat(Script.play(
                        "",
                        SWAPPER
                                + "join 1 A; join 2 B; join 3 A; join 4 A; join 5 A; done 1; pass 9999ms; done 3; pass 1ms;"
                                + "done 4; done 2"))
                .isEqualTo("1@a 3@a 4@a 2@a! 5@a!");
    }

    @Test
    void a_more_urgent_job_does_not_give_way() {
        assertThat(Script.play("", SWAPPER + "join 1 A; join 2 B high; join 3 A; done 1; done 2"))
                .isEqualTo("1@a 2@a! 3@a!");
    }

    @Test
    void a_job_with_a_deadline_does_not_give_way() {
        assertThat(Script.play("", SWAPPER + "join 1 A; join 2 A; join 3 B due=60s; done 1; done 3"))
                .isEqualTo("1@a 3@a! 2@a!");
    }

    @Test
    void a_job_without_a_group_gives_way_to_none_and_passes_none() {
        assertThat(Script.play("", SWAPPER + "join 1 A; join 2 B ungrouped; join 3 A; done 1; done 2"))
                .isEqualTo("1@a 2@a! 3@a!");
        assertThat(Script.play("", SWAPPER + "join 1 A; join 2 B; join 3 A ungrouped; done 1; done 2"))
                .isEqualTo("1@a 2@a! 3@a!");
    }

    @Test
    void jobs_whose_prompts_begin_like_the_last_one_go_first_if_they_are_grouped_so() {
        assertThat(Script.play(
                        "",
                        "node a 1 A; join 1 A prefix=1; join 2 A prefix=2; join 3 A prefix=1; join 4 A prefix=2; "
                                + "join 5 A; done 1; done 3; done 2; done 4"))
                .isEqualTo("1@a 3@a 2@a 4@a 5@a");
    }

    @Test
    void such_a_job_gives_way_for_ten_seconds_and_to_no_job_of_another_priority() {
        assertThat(Script.play(
                        "",
                        "node a 1 A; join 1 A prefix=1; join 2 A prefix=2; join 3 A prefix=1; join 4 A prefix=1; "
                                + "join 5 A low prefix=1; join 6 A high prefix=2; done 1; done 6; pass 9999ms; done 2; "
                                + "done 3; done 4"))
                .isEqualTo("1@a 6@a 2@a 3@a 4@a 5@a");
        assertThat(Script.play(
                        "",
                        "node a 1 A; join 1 A prefix=1; join 2 A prefix=2; join 3 A prefix=1; join 4 A prefix=1; "
                                + "done 1; pass 10s; done 3; done 2"))
                .isEqualTo("1@a 3@a 2@a 4@a");
    }

    @Test
    void a_job_of_the_same_prefix_that_would_go_elsewhere_is_not_preferred() {
        assertThat(Script.play(
                        "",
                        "node a 1 A; node b 1 B; join 1 A prefix=1; join 2 B; join 3 A prefix=2; join 4 B prefix=1; "
                                + "done 1"))
                .isEqualTo("1@a 2@b 3@a");
    }

    @Test
    void the_earliest_deadline_goes_first() {
        assertThat(Script.play(
                        "",
                        "node a 1 A; join 1 A; join 2 A; join 3 A due=60s; join 4 A due=50s; join 5 A low due=1s; "
                                + "done 1; done 4; done 3; done 2"))
                .isEqualTo("1@a 4@a 3@a 2@a 5@a");
    }

    @Test
    void three_models_on_a_node_that_holds_one_need_a_tenth_of_the_swaps() {
        Played fifo = new Line(_ -> false).play(300);
        Played grouped = new Line(_ -> true).play(300);

        System.out.printf(
                "300 jobs of %s, loads of %s: in turn %d swaps, %d s; grouped %d swaps, %d s, longest beyond its turn %.1f s%n",
                JOB,
                LOAD,
                fifo.swaps(),
                fifo.length().toSeconds(),
                grouped.swaps(),
                grouped.length().toSeconds(),
                grouped.beyondTurn().toMillis() / 1000.0);
        assertThat(fifo.swaps()).isEqualTo(299);
        assertThat(grouped.swaps()).isLessThanOrEqualTo(fifo.swaps() / 10);
        assertThat(grouped.length()).isLessThan(fifo.length().dividedBy(4));
        assertThat(grouped.beyondTurn())
                .isLessThanOrEqualTo(Placing.USUAL.groupMaxWait().plus(LOAD).plus(JOB));
    }

    /**
     * What came of the jobs.
     *
     * @param beyondTurn the longest time that a job waited after it had become the first in turn
     */
    private record Played(int swaps, Duration length, Duration beyondTurn) {}

    /** One node with one slot, and jobs for A, B and C in turn. 72 jobs wait at once, as in a replica with 64 slots. */
    private static final class Line {
        private static final int IN_HAND = 72;

        private final Deque<Wait> waiting = new ArrayDeque<>();
        private final Schedule schedule;
        private long now;
        private int joined;
        private int swaps;
        private long firstSince;
        private long beyondTurn;
        private String held = "";

        Line(Predicate<String> swapsModels) {
            Tenants tenants = new Tenants(Map.of());
            schedule = new Schedule(
                    new WaitingLine(0, tenants),
                    new DeferralPolicy(Duration.ofSeconds(5), IN_HAND, tenants),
                    new ReplicaSlots(IN_HAND, Map.of()),
                    new Groups(swapsModels),
                    tenants,
                    new Settings.Admission(1_000, 0.25));
            Router.NodeView view = new Router.NodeView(
                    "a", Backend.OLLAMA, "cpu", List.of("A", "B", "C"), Map.of(), true, null, Router.Fetching.NEVER);
            Router router = new Router(Map.of(), null, false);
            schedule.rerouted(
                    new Placement(
                            NodesView.of(List.of(load(0))),
                            key -> router.find(key.model(), key.task(), key.pins(), Targets.NONE, List.of(view)),
                            () -> 0),
                    now);
        }

        private static NodesView.Load load(int inFlight) {
            return new NodesView.Load(
                    "a", Node.State.UP, 0, inFlight, 1, 1 - inFlight, false, List.of(), NodeLoad.UNKNOWN, 1, false, 0);
        }

        Played play(int jobs) {
            for (int started = 0; started < jobs; started++) {
                while (joined < jobs && waiting.size() < IN_HAND) {
                    join();
                }
                if (!(schedule.next(now, () -> false) instanceof Decision.Grant grant)) {
                    throw new AssertionError("no job goes");
                }
                run(grant);
            }
            return new Played(swaps, Duration.ofNanos(now), Duration.ofNanos(beyondTurn));
        }

        private void join() {
            String model = List.of("A", "B", "C").get(joined % 3);
            Wait wait = new Wait(
                    joined++,
                    Script.key(model),
                    Demand.ofChars(0),
                    Priority.NORMAL,
                    "default",
                    "jobs",
                    false,
                    false,
                    now,
                    Wait.NEVER,
                    Long.MAX_VALUE,
                    Set.of(),
                    Map.of());
            waiting.add(wait);
            schedule.joined(wait, now);
        }

        private void run(Decision.Grant grant) {
            boolean wasFirst = grant.waiting().equals(waiting.peekFirst());
            schedule.changed(load(1));
            schedule.granted(grant.waiting(), "a", grant.model(), now);
            waiting.remove(grant.waiting());
            if (wasFirst) {
                beyondTurn = Math.max(beyondTurn, now - firstSince);
            }
            boolean loads = !held.equals(grant.model());
            swaps += loads && !held.isEmpty() ? 1 : 0;
            held = grant.model();
            now += JOB.plus(loads ? LOAD : Duration.ZERO).toNanos();
            firstSince = wasFirst ? now : firstSince;
            schedule.changed(load(0));
            schedule.slotGivenBack(grant.waiting().turn(), "jobs");
        }
    }
}
