package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.node.Node;
import dev.penstock.route.RouteKey;
import dev.penstock.route.Targets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RoutePreviewTest {
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
        return rig.waits(rig.scheduler.enter(key, 0, Priority.NORMAL, "default", "prompt-jobs", false, null))
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
            RoutePreview.Preview shown = preview.of(to("cpu", "gpu"), 0);

            assertThat(shown.candidates())
                    .containsExactly(
                            new RoutePreview.Candidate("b", "llama", 0, "pool gpu, 0 of 4 slots in use"),
                            new RoutePreview.Candidate("a", "llama", 0.25, "pool gpu, 1 of 4 slots in use"),
                            new RoutePreview.Candidate(
                                    "c", "llama", 1, "pool cpu, 1 of 1 slots in use; the job waits for one"));
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

    @Test
    void a_node_that_is_down_is_no_candidate() {
        rig.nodes.server("a").up("llama").down();
        rig.nodes.server("b").up("mistral");

        RoutePreview.Preview shown = preview.of(to("gpu"), 0);

        assertThat(shown.candidates()).isEmpty();
        assertThat(shown.excluded())
                .contains(
                        new RoutePreview.Excluded("a", "it is down: gone"),
                        new RoutePreview.Excluded("b", "it does not list model 'llama'"));
    }
}
