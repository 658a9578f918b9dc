package dev.penstock.schedule;

import dev.penstock.job.Priority;
import dev.penstock.node.Nodes;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.settings.Settings;
import java.util.Map;
import java.util.Set;

/** Places jobs as the scheduler does, at the nodes' present loads, and takes no slot. For benchmarks. */
public final class PlacedJobs {
    private final Placement placement;

    public PlacedJobs(Settings settings, Nodes nodes) {
        Routes routes = new Routes(settings, nodes);
        placement = new Placement(
                NodesView.of(nodes.all().stream()
                        .map(node -> NodesView.Load.of(node, 0))
                        .toList()),
                routes::of,
                () -> 0);
    }

    /** Returns the node of a job. */
    public String node(RouteKey key) {
        Wait wait = new Wait(
                0,
                key,
                Demand.ofChars(0),
                Priority.NORMAL,
                "default",
                "prompt-jobs",
                false,
                false,
                0,
                Wait.NEVER,
                1,
                Set.of(),
                Map.of());
        return switch (placement.choose(placement.reach(key, Set.of(), Set.of()), wait, 0)) {
            case Placement.Choice.Go(String node, String _) -> node;
            case Placement.Choice.AfterFetch _, Placement.Choice.Later _, Placement.Choice.Never _ ->
                throw new IllegalStateException("no node for " + key);
        };
    }
}
