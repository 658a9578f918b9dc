package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PromptSize;
import dev.penstock.job.Task;
import dev.penstock.node.Node;
import dev.penstock.route.RouteKey;
import dev.penstock.route.StableHash;
import dev.penstock.route.Targets;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.balance.LeastLoad;
import dev.penstock.route.balance.Length;
import dev.penstock.route.balance.Order;
import dev.penstock.route.balance.SessionAffinity;
import dev.penstock.route.balance.Weighted;
import dev.penstock.settings.Placing;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class RoutePreviewTest {
    private static final String NO_RATE = "; no rate is known yet, so the share of the slots in use decides";

    private final SchedulerRig rig = new SchedulerRig(
            SchedulerRig.node("a", 4),
            SchedulerRig.node("b", 4),
            SchedulerRig.node("c", 1),
            SchedulerRig.node("d", 4),
            SchedulerRig.node("e", 4),
            Map.of("nodes.c.pool", "cpu", "nodes.d.pool", "cpu", "nodes.e.pool", "edge"));
    private final RoutePreview preview = new RoutePreview(rig.settings, rig.nodes, rig.scheduler);

    private static RouteKey to(String... names) {
        return new RouteKey("llama", Task.CHAT, PromptJob.Pins.NONE, new Targets("it", List.of(names)));
    }

    private Node.Slot granted(RouteKey key) {
        return rig.waits(rig.scheduler.enter(
                        key, Demand.ofChars(0), Priority.NORMAL, "default", "prompt-jobs", false, null))
                .slot();
    }

    @Test
    void candidates_are_in_the_order_of_placement_and_the_others_have_their_reason() {
        for (String node : List.of("a", "b", "c", "e")) {
            rig.nodes.server(node).up("llama");
        }
        rig.nodes.server("d").loading();
        try (Node.Slot _ = granted(to("a"));
                Node.Slot _ = granted(to("c"))) {
            RoutePreview.Preview shown = preview.of(to("cpu", "gpu"), Demand.ofChars(0));

            assertThat(shown.candidates())
                    .containsExactly(
                            new RoutePreview.Candidate("b", "llama", 0, "pool gpu, 0 of 4 slots in use" + NO_RATE),
                            new RoutePreview.Candidate("a", "llama", 0.25, "pool gpu, 1 of 4 slots in use" + NO_RATE),
                            new RoutePreview.Candidate(
                                    "c",
                                    "llama",
                                    1,
                                    "pool cpu, 1 of 1 slots in use" + NO_RATE + "; the job waits for one"));
            assertThat(shown.excluded())
                    .containsExactly(
                            new RoutePreview.Excluded("d", "it has not listed its models yet"),
                            new RoutePreview.Excluded("e", "rule 'it' sends to cpu, gpu"));
            Node.Slot first = granted(to("cpu", "gpu"));
            assertThat(first.node().name())
                    .as("the first candidate gets the job")
                    .isEqualTo("b");
            first.close();
        }
    }

    private static Demand demand(Order order, long tokens, Placing.Overflow overflow) {
        return new Demand(
                new Length(new PromptSize(4 * tokens, 0), 0, true),
                order,
                overflow,
                Demand.ofChars(0).grouping());
    }

    @Test
    void the_score_is_the_figure_that_orders_the_nodes() {
        rig.nodes.server("a").up("llama");
        rig.nodes.server("b").up("llama");
        try (Node.Slot _ = granted(to("a"))) {
            RoutePreview.Preview weighted = preview.of(to("gpu"), demand(new Weighted(), 5, Placing.Overflow.NEXT));
            assertThat(weighted.candidates())
                    .containsExactly(
                            new RoutePreview.Candidate(
                                    "b", "llama", 0, "pool gpu, 0 of 4 slots in use; 0 in flight for weight 1: 0.00"),
                            new RoutePreview.Candidate(
                                    "a", "llama", 1, "pool gpu, 1 of 4 slots in use; 1 in flight for weight 1: 1.00"));
            assertThat(weighted.promptTokens()).isEqualTo(5);
            Order session = new SessionAffinity(StableHash.of("alice"));
            assertThat(preview.of(to("gpu"), demand(session, 5, Placing.Overflow.NEXT))
                            .candidates())
                    .extracting(RoutePreview.Candidate::score)
                    .containsExactly(1.0, 2.0);
            assertThat(preview.of(to("gpu"), demand(session, 5, Placing.Overflow.NEXT))
                            .candidates()
                            .getFirst()
                            .why())
                    .endsWith("; place 1 in the order of the session");
        }
    }

    @Test
    void with_a_known_rate_the_score_of_least_load_is_the_time_to_the_first_token() {
        rig.nodes.server("a").up("llama");
        try (Node.Slot slot = rig.take("a")) {
            rig.pass(Duration.ofSeconds(1));
            slot.heard();
        }
        try (Node.Slot slot = Objects.requireNonNull(rig.node("a").tryAcquire(4_000, false))) {
            rig.pass(Duration.ofSeconds(1));
            slot.heard();
        }

        RoutePreview.Candidate a =
                preview.of(to("gpu"), Demand.ofChars(4_000)).candidates().getFirst();

        assertThat(a.score()).isBetween(1.0, 2.0);
        assertThat(a.why())
                .matches(
                        "pool gpu, 0 of 4 slots in use; 1\\.9\\d s to the first token, of which 0.00 s for the prompts before it");
    }

    @Test
    void a_node_whose_context_is_too_small_is_excluded_with_the_figures() {
        rig.nodes.server("a").up(1_000L, "llama");
        rig.nodes.server("b").up(9_000L, "llama");

        RoutePreview.Preview next = preview.of(to("gpu"), demand(new LeastLoad(), 2_000, Placing.Overflow.NEXT));
        assertThat(next.candidates()).extracting(RoutePreview.Candidate::node).containsExactly("b");
        assertThat(next.excluded())
                .contains(
                        new RoutePreview.Excluded("a", "the prompt has about 2,000 tokens; the limit there is 1,000"));

        RoutePreview.Preview fails = preview.of(to("a", "b"), demand(new LeastLoad(), 3_000, Placing.Overflow.FAIL));
        assertThat(fails.candidates()).isEmpty();
        assertThat(fails.excluded())
                .contains(new RoutePreview.Excluded(
                        "b", "the job fails: the prompt has about 3,000 tokens. The limits are: a 1,000"));
    }

    @Test
    void a_node_that_is_down_is_no_candidate() {
        rig.nodes.server("a").up("llama").down();
        rig.nodes.server("b").up("mistral");

        RoutePreview.Preview shown = preview.of(to("gpu"), Demand.ofChars(0));

        assertThat(shown.candidates()).isEmpty();
        assertThat(shown.excluded())
                .contains(
                        new RoutePreview.Excluded("a", "it is down: gone"),
                        new RoutePreview.Excluded("b", "it does not list model 'llama'"));
    }
}
