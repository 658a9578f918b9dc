package dev.penstock.schedule;

import dev.penstock.job.PromptSize;
import dev.penstock.node.Node;
import dev.penstock.node.NodeLoad;
import dev.penstock.node.Nodes;
import dev.penstock.route.RouteKey;
import dev.penstock.route.Router;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.balance.Fit;
import dev.penstock.settings.Settings;
import jakarta.inject.Singleton;
import java.util.ArrayList;
import java.util.HashMap;
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
     * @param promptTokens an estimate of the prompt's tokens at the first candidate
     */
    public record Preview(List<Candidate> candidates, List<Excluded> excluded, long promptTokens) {
        public Preview {
            candidates = List.copyOf(candidates);
            excluded = List.copyOf(excluded);
        }
    }

    /**
     * A node that can run the job.
     *
     * @param score the figure that orders the nodes of a pool; a lower score is better
     * @param why the figures behind the score
     */
    public record Candidate(String node, String model, double score, String why) {}

    public record Excluded(String node, String why) {}

    public Preview of(RouteKey key, Demand demand) {
        Router.Route route = routes.of(key);
        Placement placement = scheduler.placement();
        List<Candidate> candidates = new ArrayList<>();
        Set<String> shown = new HashSet<>();
        Fit fit = placement.fit(route, demand, Set.of());
        Map<String, String> leftOut = new HashMap<>(fit.leftOut());
        fit.failure()
                .ifPresent(failure ->
                        nodes.all().forEach(node -> leftOut.put(node.name(), "the job fails: " + failure.message())));
        for (Placement.Ranked ranked : placement.inOrder(route, demand, leftOut.keySet())) {
            Router.Candidate candidate = ranked.candidate();
            NodesView.Load load = placement.nodes().find(candidate.node()).orElse(null);
            Node node = nodes.find(candidate.node()).orElse(null);
            if (load != null && node != null) {
                shown.add(candidate.node());
                candidates.add(new Candidate(
                        candidate.node(),
                        candidate.model(),
                        ranked.figure().score(),
                        why(node, load, ranked.figure().why(), route instanceof Router.Route.AfterFetch)));
            }
        }
        Map<String, String> reasons = new HashMap<>(leftOut);
        reasons.putAll(routes.excluded(key));
        List<Excluded> excluded = nodes.all().stream()
                .filter(node -> !shown.contains(node.name()))
                .map(node -> new Excluded(
                        node.name(), Objects.requireNonNullElseGet(reasons.get(node.name()), () -> state(node))))
                .toList();
        double charsPerToken = candidates.isEmpty()
                ? PromptSize.USUAL_CHARS_PER_TOKEN
                : placement
                        .nodes()
                        .find(candidates.getFirst().node())
                        .orElseThrow()
                        .work()
                        .charsPerToken();
        return new Preview(candidates, excluded, demand.length().prompt().tokens(charsPerToken));
    }

    private static String why(Node node, NodesView.Load load, String figure, boolean fetches) {
        return "pool %s, %d of %d slots in use; %s%s%s%s"
                .formatted(
                        node.settings().pool(),
                        load.inFlight(),
                        load.limit(),
                        figure,
                        others(load.work()),
                        load.hasRoom() ? "" : "; the job waits for one",
                        fetches ? "; it fetches the model first" : "");
    }

    private static String others(NodeLoad work) {
        return (work.othersSeconds() > 0
                        ? " (%.1f s for the prompts of other clients)".formatted(work.othersSeconds())
                        : "")
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
