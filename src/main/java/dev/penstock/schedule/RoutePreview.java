package dev.penstock.schedule;

import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.node.Nodes;
import dev.penstock.route.RouteKey;
import dev.penstock.route.Router;
import dev.penstock.settings.Settings;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** Shows where a job would run if a replica took it now. Nothing runs, and nothing changes. */
@Singleton
public final class RoutePreview {
    private final Nodes nodes;
    private final Routes routes;
    private final Scheduler scheduler;

    public RoutePreview(Settings settings, Nodes nodes, Scheduler scheduler) {
        this.nodes = nodes;
        this.scheduler = scheduler;
        routes = new Routes(settings, nodes);
    }

    /**
     * @param candidates the nodes that can run the job, in the order in which the placement takes them now
     * @param excluded all other nodes
     */
    public record Preview(List<Candidate> candidates, List<Excluded> excluded) {
        public Preview {
            candidates = List.copyOf(candidates);
            excluded = List.copyOf(excluded);
        }
    }

    /**
     * A node that can run the job.
     *
     * @param score the part of the node's slots that is in use; a lower score is better
     * @param why the figures behind the score
     */
    public record Candidate(String node, String model, double score, String why) {}

    public record Excluded(String node, String why) {}

    /** @param promptChars the characters of the job's prompt */
    public Preview of(RouteKey key, long promptChars) {
        Router.Route route = routes.of(key);
        Placement placement = scheduler.placement();
        List<Candidate> candidates = new ArrayList<>();
        Set<String> shown = new HashSet<>();
        for (Router.Candidate candidate : placement.inOrder(route, promptChars)) {
            NodesView.Load load = placement.nodes().find(candidate.node()).orElse(null);
            Node node = nodes.find(candidate.node()).orElse(null);
            if (load != null && node != null) {
                shown.add(candidate.node());
                candidates.add(new Candidate(
                        candidate.node(),
                        candidate.model(),
                        load.share(),
                        why(node, load, route instanceof Router.Route.AfterFetch)));
            }
        }
        Map<String, String> reasons = routes.excluded(key);
        List<Excluded> excluded = nodes.all().stream()
                .filter(node -> !shown.contains(node.name()))
                .map(node -> new Excluded(
                        node.name(), Objects.requireNonNullElseGet(reasons.get(node.name()), () -> state(node))))
                .toList();
        return new Preview(candidates, excluded);
    }

    private static String why(Node node, NodesView.Load load, boolean fetches) {
        return "pool %s, %d of %d slots in use%s%s%s"
                .formatted(
                        node.settings().pool(),
                        load.inFlight(),
                        load.limit(),
                        reading(load.work()),
                        load.hasRoom() ? "" : "; the job waits for one",
                        fetches ? "; it fetches the model first" : "");
    }

    private static String reading(NodeLoad work) {
        String others =
                work.othersSeconds() > 0 ? " (%.1f s of them other clients')".formatted(work.othersSeconds()) : "";
        return (work.seconds() > 0 ? ", %.1f s for the prompts before it%s".formatted(work.seconds(), others) : "")
                + (work.isNearlyFull() ? ", its cache for prompts is nearly full" : "");
    }

    private static String state(Node node) {
        Node.Health health = node.health();
        if (node.pause().isPresent()) {
            return node.pause().get().words();
        }
        String error = health.lastError();
        return health.state() == Node.State.UP
                ? "another node has the model"
                : "it is %s%s"
                        .formatted(health.state().name().toLowerCase(Locale.ROOT), error == null ? "" : ": " + error);
    }
}
