package dev.penstock.schedule;

import dev.penstock.node.Node;
import dev.penstock.node.Nodes;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.route.RouteKey;
import dev.penstock.route.Router;
import dev.penstock.settings.Settings;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * Finds the route for a route key from the current state of the nodes, and caches the route. A change of the nodes
 * clears the cache. Thread-safe.
 */
public final class Routes {
    /** The largest number of routes in the cache. It is limited because jobs may ask for any number of models. */
    private static final int MOST_FOUND = 10_000;

    private final Nodes nodes;
    private final Router router;
    /* Guarded by this. */
    private final Map<RouteKey, Router.Route> found = new HashMap<>();
    private List<Router.NodeView> views = List.of();
    private long version = -1;

    public Routes(Settings settings, Nodes nodes) {
        this.nodes = nodes;
        router = new Router(
                settings.profiles(),
                settings.defaultProfile(),
                settings.routing().cloudFallback());
    }

    public synchronized Router.Route of(RouteKey key) {
        refresh();
        if (found.size() >= MOST_FOUND) {
            found.clear();
        }
        return found.computeIfAbsent(
                key, asked -> router.find(asked.model(), asked.task(), asked.pins(), asked.targets(), views));
    }

    /* The caller holds the lock. */
    private void refresh() {
        if (version != nodes.version()) {
            version = nodes.version();
            boolean anyKnown =
                    nodes.all().stream().anyMatch(node -> node.health().known());
            views = nodes.all().stream().map(node -> view(node, anyKnown)).toList();
            found.clear();
        }
    }

    /** Returns whether the pins and the targets of a key allow a node, regardless of models. */
    public boolean allows(RouteKey key, Node node) {
        return router.allows(
                key.pins(), key.targets(), node.name(), node.settings().pool());
    }

    /** Returns the nodes that jobs with this key cannot use, whatever their state, each with the reason. */
    synchronized Map<String, String> excluded(RouteKey key) {
        refresh();
        Map<String, String> reasons = new TreeMap<>();
        views.forEach(view -> router.whyNot(key.model(), key.task(), key.pins(), key.targets(), view)
                .ifPresent(why -> reasons.put(view.name(), why)));
        return reasons;
    }

    /**
     * Returns the nodes of a route: those that may serve the job now, or those that may serve it after they have
     * fetched its model.
     */
    public static List<List<Router.Candidate>> candidates(Router.Route route) {
        return switch (route) {
            case Router.Route.To(List<List<Router.Candidate>> pools) -> pools;
            case Router.Route.AfterFetch(List<Router.Candidate> nodes) -> List.of(nodes);
            case Router.Route.Nowhere _ -> List.of();
        };
    }

    /**
     * Returns the router's view of a node. No node is given up before at least one node was reached: until then, jobs
     * wait.
     */
    private static Router.NodeView view(Node node, boolean anyKnown) {
        Node.Health health = node.health();
        List<String> models = health.models().stream()
                .sorted(Comparator.comparing(model -> !model.loaded()))
                .map(WireProtocol.Model::id)
                .toList();
        boolean givenUp = anyKnown && node.isUnknownForLong();
        return new Router.NodeView(
                node.name(),
                node.settings().backend(),
                node.settings().pool(),
                models,
                health.models().stream()
                        .collect(Collectors.toMap(
                                WireProtocol.Model::id, WireProtocol.Model::tasks, (first, _) -> first)),
                health.known() || givenUp,
                node.settings().model(),
                new Router.Fetching(
                        node.settings().fetchesMissing(), node.models().cannotFetch()),
                givenUp ? String.valueOf(health.lastError()) : null);
    }
}
