package dev.penstock.route;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import dev.penstock.wire.ModelName;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Decides which nodes may serve a job, and in which order. The decision is a pure function of the job and the known
 * state of the nodes. The job's pins come first, then the targets of its rule. Without both, it takes the pools in the
 * order gpu, cpu, and then all other pools by name. The pool cloud is the last one, and only if the configuration
 * allows it.
 */
public final class Router {
    private static final String CLOUD = "cloud";
    private static final List<String> FIRST = List.of("gpu", "cpu");

    private final Map<String, Map<Backend, String>> profiles;
    private final @Nullable String defaultProfile;
    private final boolean cloudFallback;

    /**
     * @param profiles maps each profile's alias to the names of its model, by backend
     * @param cloudFallback whether jobs without pins and targets may go to the pool cloud after all other pools
     */
    public Router(Map<String, Map<Backend, String>> profiles, @Nullable String defaultProfile, boolean cloudFallback) {
        this.profiles = Map.copyOf(profiles);
        this.defaultProfile = defaultProfile;
        this.cloudFallback = cloudFallback;
    }

    /**
     * The facts about a node that the router needs.
     *
     * @param models the models in the server's order, but loaded models first
     * @param tasks maps a model to its tasks, if the server reports them; all other models serve every task
     * @param modelsKnown whether the server has listed its models at least once, or has not done so within its time
     *     limit
     * @param only the only model that jobs may use at the node; null if they may use all of its models
     * @param fetching how the node handles a model that it lacks
     * @param neverReached why Penstock has never reached the node although it has tried for a long time; null if it has
     *     reached the node, or has tried only for a short time
     */
    public record NodeView(
            String name,
            Backend backend,
            String pool,
            List<String> models,
            Map<String, Set<Task>> tasks,
            boolean modelsKnown,
            @Nullable String only,
            Fetching fetching,
            @Nullable String neverReached) {
        public NodeView {
            models = List.copyOf(models);
            tasks = Map.copyOf(tasks);
        }

        /** Creates the view of a node without a value for {@code neverReached}. */
        public NodeView(
                String name,
                Backend backend,
                String pool,
                List<String> models,
                Map<String, Set<Task>> tasks,
                boolean modelsKnown,
                @Nullable String only,
                Fetching fetching) {
            this(name, backend, pool, models, tasks, modelsKnown, only, fetching, null);
        }

        /** Returns the node's first model that serves a task. */
        Optional<String> firstFor(Task task) {
            return models.stream()
                    .filter(model ->
                            !tasks.containsKey(model) || tasks.get(model).contains(task))
                    .findFirst();
        }

        boolean has(String model) {
            return listedName(model).isPresent();
        }

        /** Returns the name under which the node lists a model; empty if it does not list it. */
        Optional<String> listedName(String model) {
            return models.contains(model)
                    ? Optional.of(model)
                    : models.stream()
                            .filter(listed -> ModelName.same(listed, model))
                            .findFirst();
        }

        /**
         * Returns the node's only model under its listed name. If the node has no list yet, or cannot list models, it
         * returns the configured name.
         */
        private Optional<String> own(String configured) {
            return modelsKnown ? listedName(configured) : Optional.of(configured);
        }
    }

    /**
     * How a node handles a model that it lacks.
     *
     * @param missing whether the node fetches a model that it lacks
     * @param inVain the models whose fetch failed lately, each with the reason
     */
    public record Fetching(boolean missing, Map<String, String> inVain) {
        /** The node fetches nothing. */
        public static final Fetching NEVER = new Fetching(false, Map.of());

        public Fetching {
            inVain = Map.copyOf(inVain);
        }

        Optional<String> whyNot(String model) {
            return inVain.entrySet().stream()
                    .filter(failed -> ModelName.same(failed.getKey(), model))
                    .map(Map.Entry::getValue)
                    .findFirst();
        }
    }

    /** The nodes at which a job may run. */
    public sealed interface Route {
        /**
         * The job may run at any of these nodes. They are grouped by pool, and the pools are in the order of
         * preference.
         */
        record To(List<List<Candidate>> pools) implements Route {}

        /** The job may run after a fetch of its model. The first of these nodes that is up fetches the model. */
        record AfterFetch(List<Candidate> nodes) implements Route {}

        /** No node here can ever serve the job. */
        record Nowhere(JobFailure failure) implements Route {}
    }

    /** A node, and the name of the job's model at this node. */
    public record Candidate(String node, String model) {}

    /**
     * @param requested the job's model or profile; null if the job names none, and then its task decides
     * @param targets where the job's rule sends it
     * @param nodes all nodes; if there are none yet, the job waits
     */
    public Route find(
            @Nullable String requested, Task task, PromptJob.Pins pins, Targets targets, Collection<NodeView> nodes) {
        if (nodes.isEmpty()) {
            return new Route.To(List.of());
        }
        SortedMap<Level, List<NodeView>> levels = new TreeMap<>();
        for (NodeView node : nodes) {
            Level level = level(pins, targets, node.name(), node.pool());
            if (level != null) {
                levels.computeIfAbsent(level, _ -> new ArrayList<>()).add(node);
            }
        }
        if (levels.isEmpty()) {
            return new Route.Nowhere(Refusals.noneAllowed(pins, targets, nodes));
        }
        List<List<Candidate>> having = candidates(levels, node -> modelAt(node, requested, task));
        if (!having.isEmpty()) {
            return new Route.To(having);
        }
        List<List<Candidate>> fetching = candidates(levels, node -> toFetch(node, requested));
        if (!fetching.isEmpty()) {
            return new Route.AfterFetch(fetching.stream().flatMap(List::stream).toList());
        }
        List<List<Candidate>> perhaps = candidates(levels, node -> perhapsAt(node, requested));
        List<NodeView> allowed = levels.values().stream().flatMap(List::stream).toList();
        if (!perhaps.isEmpty() || allowed.stream().anyMatch(node -> !node.modelsKnown())) {
            return new Route.To(perhaps);
        }
        return new Route.Nowhere(refusals(requested).noModel(task, pins, allowed, nodes));
    }

    private static List<List<Candidate>> candidates(
            SortedMap<Level, List<NodeView>> levels, Function<NodeView, Optional<String>> model) {
        List<List<Candidate>> all = new ArrayList<>();
        levels.values().forEach(nodes -> {
            List<Candidate> some = nodes.stream()
                    .flatMap(node -> model.apply(node).map(name -> new Candidate(node.name(), name)).stream())
                    .toList();
            if (!some.isEmpty()) {
                all.add(some);
            }
        });
        return all;
    }

    /** The place of a node in the order: first by number, then by the name of its pool. */
    private record Level(int number, String pool) implements Comparable<Level> {
        @Override
        public int compareTo(Level other) {
            return number == other.number ? pool.compareTo(other.pool) : Integer.compare(number, other.number);
        }
    }

    /** Returns whether pins and targets allow a node, regardless of models. */
    public boolean allows(PromptJob.Pins pins, Targets targets, String node, String pool) {
        return level(pins, targets, node, pool) != null;
    }

    private @Nullable Level level(PromptJob.Pins pins, Targets targets, String node, String pool) {
        if (pins.node() != null || pins.pool() != null) {
            boolean pinned = (pins.node() == null || pins.node().equals(node))
                    && (pins.pool() == null || pins.pool().equals(pool));
            return pinned ? new Level(rank(pool), pool) : null;
        }
        if (!targets.isNone()) {
            int place = targets.place(node, pool);
            // the nodes of one target are one level, whatever their pools
            return place < 0 ? null : new Level(place, "");
        }
        return pool.equals(CLOUD) && !cloudFallback ? null : new Level(rank(pool), pool);
    }

    private static int rank(String pool) {
        int place = FIRST.indexOf(pool);
        return place >= 0 ? place : pool.equals(CLOUD) ? FIRST.size() + 1 : FIRST.size();
    }

    /**
     * Returns why a job cannot use a node; empty if nothing but the node's state speaks against it.
     *
     * @param requested the job's model or profile, or null
     */
    public Optional<String> whyNot(
            @Nullable String requested, Task task, PromptJob.Pins pins, Targets targets, NodeView node) {
        if (!allows(pins, targets, node.name(), node.pool())) {
            return Optional.of(Refusals.notAllowed(pins, targets));
        }
        return modelAt(node, requested, task).isPresent()
                ? Optional.empty()
                : Optional.of(refusals(requested).noModelAt(node, task));
    }

    private Refusals refusals(@Nullable String requested) {
        return new Refusals(requested == null ? defaultProfile : requested, profiles);
    }

    /** Returns the name of the requested model at a node; empty if the node is not known to have the model. */
    private Optional<String> modelAt(NodeView node, @Nullable String requested, Task task) {
        String wanted = requested == null ? defaultProfile : requested;
        String only = node.fetching().missing() ? null : node.only();
        if (wanted == null) {
            return only == null ? node.firstFor(task) : node.own(only);
        }
        Map<Backend, String> profile = profiles.get(wanted);
        if (profile != null) {
            // the profile's model must give the answer, so a node that does not list this model does not get the job
            return Optional.ofNullable(profile.get(node.backend()))
                    .flatMap(model -> node.backend().listsModels() ? node.listedName(model) : Optional.of(model));
        }
        if (node.only() != null && !ModelName.same(node.only(), wanted)) {
            return Optional.empty();
        }
        return only == null ? node.listedName(wanted) : node.own(only);
    }

    /**
     * Returns the requested name if the node cannot list its models, because it may have the model under this very
     * name. The router uses such a node only if no other node has the model.
     */
    private Optional<String> perhapsAt(NodeView node, @Nullable String requested) {
        String wanted = requested == null ? defaultProfile : requested;
        return Optional.ofNullable(wanted)
                .filter(_ -> !node.backend().listsModels())
                .filter(name -> !profiles.containsKey(name));
    }

    /** Returns the model that a node must fetch to serve the job; empty if it needs no fetch or cannot fetch it. */
    private Optional<String> toFetch(NodeView node, @Nullable String requested) {
        String wanted = requested == null ? defaultProfile : requested;
        if (!node.fetching().missing() || !node.modelsKnown()) {
            return Optional.empty();
        }
        Map<Backend, String> profile = wanted == null ? null : profiles.get(wanted);
        String model = profile != null ? profile.get(node.backend()) : wanted != null ? wanted : node.only();
        boolean another =
                profile == null && node.only() != null && model != null && !ModelName.same(node.only(), model);
        return Optional.ofNullable(model)
                .filter(_ -> !another)
                .filter(name -> !node.has(name))
                .filter(name -> node.fetching().whyNot(name).isEmpty());
    }
}
