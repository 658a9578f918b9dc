package dev.penstock.route;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.settings.Backend;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Which nodes may serve a job, in which order: a pure function of the job and of what is known of the nodes. Pools are
 * tried in the order gpu, cpu, then others by name; never cloud unless the job pins it.
 */
public final class Router {
    private static final String CLOUD = "cloud";
    private static final List<String> FIRST = List.of("gpu", "cpu");

    private final Map<String, Map<Backend, String>> profiles;
    private final @Nullable String defaultProfile;

    /** @param profiles alias → backend → model */
    public Router(Map<String, Map<Backend, String>> profiles, @Nullable String defaultProfile) {
        this.profiles = Map.copyOf(profiles);
        this.defaultProfile = defaultProfile;
    }

    /**
     * A node as far as routing looks at it.
     *
     * @param models in the server's order, loaded ones first
     * @param modelsKnown whether the server has ever said what it serves
     * @param only the only model to use there; null: any of its models
     */
    public record NodeView(
            String name,
            Backend backend,
            String pool,
            List<String> models,
            boolean modelsKnown,
            @Nullable String only) {
        public NodeView {
            models = List.copyOf(models);
        }
    }

    /** Where a job may run. */
    public sealed interface Route {
        /** Pools in the order in which they are tried; within one, any node. */
        record To(List<List<Candidate>> pools) implements Route {}

        /** Nothing here can ever serve it. */
        record Nowhere(JobFailure failure) implements Route {}
    }

    /** A node and the name that the job's model has there. */
    public record Candidate(String node, String model) {}

    /**
     * @param asked the job's model or profile; null: it names none
     * @param nodes empty: none is found yet, and the job waits
     */
    public Route find(@Nullable String asked, PromptJob.Pins pins, Collection<NodeView> nodes) {
        if (nodes.isEmpty()) {
            return new Route.To(List.of());
        }
        List<NodeView> allowed = nodes.stream()
                .filter(node -> pins.node() == null || node.name().equals(pins.node()))
                .filter(node -> pins.pool() == null || node.pool().equals(pins.pool()))
                .filter(node -> pins.node() != null
                        || pins.pool() != null
                        || !node.pool().equals(CLOUD))
                .toList();
        if (allowed.isEmpty()) {
            return noneAllowed(pins, nodes);
        }
        Map<String, List<Candidate>> pools =
                new TreeMap<>(Comparator.comparingInt(Router::rank).thenComparing(Comparator.naturalOrder()));
        boolean anyUnknown = false;
        for (NodeView node : allowed) {
            anyUnknown |= !node.modelsKnown();
            modelAt(node, asked)
                    .ifPresent(model -> pools.computeIfAbsent(node.pool(), _ -> new ArrayList<>())
                            .add(new Candidate(node.name(), model)));
        }
        if (pools.isEmpty() && !anyUnknown) {
            return new Route.Nowhere(noModel(asked, allowed));
        }
        return new Route.To(List.copyOf(pools.values()));
    }

    private static int rank(String pool) {
        int place = FIRST.indexOf(pool);
        return place < 0 ? FIRST.size() : place;
    }

    /** What the asked-for model is called at a node; empty: the node does not have it, as far as is known. */
    private Optional<String> modelAt(NodeView node, @Nullable String asked) {
        String wanted = asked == null ? defaultProfile : asked;
        if (wanted == null) {
            return node.only() != null
                    ? Optional.of(node.only())
                    : node.models().stream().findFirst();
        }
        Map<Backend, String> profile = profiles.get(wanted);
        if (profile != null) {
            return Optional.ofNullable(profile.get(node.backend()));
        }
        if (node.only() != null) {
            return sameModel(node.only(), wanted) ? Optional.of(node.only()) : Optional.empty();
        }
        return node.models().stream().filter(model -> sameModel(model, wanted)).findFirst();
    }

    /** Ollama lists a model without a tag as {@code :latest}. */
    private static boolean sameModel(String listed, String wanted) {
        return listed.equals(wanted) || listed.equals(wanted + ":latest");
    }

    private static Route noneAllowed(PromptJob.Pins pins, Collection<NodeView> nodes) {
        String available = nodes.stream()
                .map(node -> node.name() + " (pool " + node.pool() + ")")
                .sorted()
                .collect(Collectors.joining(", "));
        String what;
        if (pins.node() != null) {
            what = "node '%s' not found%s"
                    .formatted(pins.node(), pins.pool() == null ? "" : " in pool '" + pins.pool() + "'");
        } else if (pins.pool() != null) {
            what = "pool '%s' has no node".formatted(pins.pool());
        } else {
            what = "no node is configured outside pool 'cloud', and prompts go there only by job.pool";
        }
        return new Route.Nowhere(JobFailure.of(
                JobFailure.Code.NO_NODE, what + ". Available: " + (available.isEmpty() ? "none" : available)));
    }

    private JobFailure noModel(@Nullable String asked, List<NodeView> allowed) {
        String wanted = asked == null ? String.valueOf(defaultProfile) : asked;
        if (asked == null && defaultProfile == null) {
            return JobFailure.of(
                    JobFailure.Code.MODEL_NOT_FOUND,
                    "the job names no model, and no node lists one: "
                            + allowed.stream().map(NodeView::name).collect(Collectors.joining(", ")));
        }
        String there = allowed.stream()
                .flatMap(node -> node.models().stream().map(model -> model + " on " + node.name()))
                .limit(20)
                .collect(Collectors.joining(", "));
        String pull =
                allowed.stream().anyMatch(node -> node.backend() == Backend.OLLAMA && profiles.get(wanted) == null)
                        ? " (ollama pull " + wanted + ")"
                        : "";
        return JobFailure.of(
                JobFailure.Code.MODEL_NOT_FOUND,
                "model '%s' is on no node%s. Available: %s".formatted(wanted, pull, there.isEmpty() ? "none" : there));
    }
}
