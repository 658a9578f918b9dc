package dev.penstock.schedule;

import dev.penstock.node.Node;
import dev.penstock.node.Nodes;
import dev.penstock.route.RouteKey;
import dev.penstock.schedule.time.Times;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.Pauses;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/** Reads the present state of the nodes for the schedule. Not thread-safe: the scheduler's lock guards it. */
final class NodesNow {
    private final Nodes nodes;
    private final Routes routes;
    private final Times times;
    private final RandomGenerator chance;
    private long version = -1;

    /** @param chance draws the nodes that are compared if there are many */
    NodesNow(Settings settings, Nodes nodes, Times times, RandomGenerator chance) {
        this.nodes = nodes;
        this.times = times;
        this.chance = chance;
        routes = new Routes(settings, nodes);
    }

    /** Brings the schedule up to date if facts that affect the routes have changed since the last call. */
    void refresh(Schedule schedule) {
        long latest = nodes.version();
        if (latest != version) {
            version = latest;
            schedule.paused(times.of(nodes.pauses().topics()));
            List<NodesView.Load> loads = nodes.all().stream().map(this::load).toList();
            schedule.rerouted(new Placement(NodesView.of(loads), routes::of, chance), times.now());
        }
    }

    NodesView.Load load(Node node) {
        Instant health = node.health().since();
        Instant since =
                node.pause().map(Pauses.Pause::since).filter(health::isBefore).orElse(health);
        return NodesView.Load.of(node, times.of(since));
    }

    /**
     * Takes a slot of a node for a waiting job, and tells the schedule.
     *
     * @return null if the node gives none now
     */
    Node.@Nullable Slot take(Schedule schedule, String name, Wait wait) {
        Node node = nodes.find(name).orElse(null);
        Node.Slot slot = node == null ? null : node.tryAcquire(wait.demand().promptChars(), wait.isCall());
        if (node == null || slot == null) {
            // the node reports when it has room again
            schedule.placement().nodes().find(name).ifPresent(load -> schedule.changed(load.full()));
            return null;
        }
        schedule.changed(load(node));
        return slot;
    }

    /** Returns the nodes that may serve jobs with a route key, now or when they have the model. */
    List<Node> candidates(RouteKey key) {
        return Routes.candidates(routes.of(key)).stream()
                .flatMap(List::stream)
                .flatMap(candidate -> nodes.find(candidate.node()).stream())
                .toList();
    }

    /**
     * Returns whether a node other than these may serve jobs with a route key. A paused node counts as one that is up,
     * because a pause is no reason to fail a job.
     *
     * @param up whether the other node must be up now
     */
    boolean hasOther(Placement now, RouteKey key, Set<String> these, boolean up) {
        return now.hasOther(key, these, up)
                || nodes.all().stream()
                        .filter(node ->
                                node.pause().isPresent() && node.health().state() == Node.State.UP)
                        .map(Node::name)
                        .anyMatch(node -> !these.contains(node) && now.mayServe(key, node));
    }
}
