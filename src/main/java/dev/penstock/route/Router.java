package dev.penstock.route;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import dev.penstock.wire.ModelName;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Decides which nodes may serve a job, and in which order: a pure function of the job and the known state of the
 * nodes. It tries the pools in the order gpu, cpu, then others by name. It uses cloud only if the job pins it.
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
     * What the router knows about a node.
     *
     * @param models in the server's order, loaded ones first
     * @param tasks the tasks of a model, if the server reports them; other models serve every task
     * @param modelsKnown whether the server has ever listed its models, or its time for that is over
     * @param only the only model to use there; null for any of its models
     * @param fetching how the node handles a model that it lacks
     * @param neverReached why Penstock never reached the node, after a long time of trying; null if it did, or still
     *     may
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

        /** Creates the view of a node that Penstock has reached, or may still reach. */
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

        /** Returns the node's first model for a task. */
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
     * @param missing whether it fetches the model
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

    /** Where a job may run. */
    public sealed interface Route {
        /** The job may run at any node of a pool. The pools are in the order of preference. */
        record To(List<List<Candidate>> pools) implements Route {}

        /** The job may run after a fetch of its model. The first of these nodes that is up fetches it. */
        record AfterFetch(List<Candidate> nodes) implements Route {}

        /** No node here can ever serve the job. */
        record Nowhere(JobFailure failure) implements Route {}
    }

    /** A node, and the name of the job's model there. */
    public record Candidate(String node, String model) {}

    /**
     * @param requested the job's model or profile; null if it names none, and then its task decides
     * @param nodes if it is empty, there are no nodes yet and the job waits
     */
    public Route find(@Nullable String requested, Task task, PromptJob.Pins pins, Collection<NodeView> nodes) {
        if (nodes.isEmpty()) {
            return new Route.To(List.of());
        }
        List<NodeView> allowed = nodes.stream()
                .filter(node -> allows(pins, node.name(), node.pool()))
                .toList();
        if (allowed.isEmpty()) {
            return noneAllowed(pins, nodes);
        }
        SortedMap<String, List<Candidate>> pools =
                new TreeMap<>(Comparator.comparingInt(Router::rank).thenComparing(Comparator.naturalOrder()));
        Map<String, List<Candidate>> perhaps = new TreeMap<>(pools.comparator());
        List<NodeView> fetching = new ArrayList<>();
        boolean anyUnknown = false;
        for (NodeView node : allowed) {
            anyUnknown |= !node.modelsKnown();
            modelAt(node, requested, task)
                    .ifPresent(model -> pools.computeIfAbsent(node.pool(), _ -> new ArrayList<>())
                            .add(new Candidate(node.name(), model)));
            if (toFetch(node, requested).isPresent()) {
                fetching.add(node);
            }
            perhapsAt(node, requested)
                    .ifPresent(model -> perhaps.computeIfAbsent(node.pool(), _ -> new ArrayList<>())
                            .add(new Candidate(node.name(), model)));
        }
        if (!pools.isEmpty()) {
            return new Route.To(List.copyOf(pools.values()));
        }
        if (!fetching.isEmpty()) {
            return new Route.AfterFetch(fetching.stream()
                    .sorted(Comparator.comparingInt((NodeView node) -> rank(node.pool()))
                            .thenComparing(NodeView::pool))
                    .flatMap(node -> toFetch(node, requested).map(model -> new Candidate(node.name(), model)).stream())
                    .toList());
        }
        if (!perhaps.isEmpty() || anyUnknown) {
            return new Route.To(List.copyOf(perhaps.values()));
        }
        return new Route.Nowhere(noModel(requested, task, pins, allowed, nodes));
    }

    /** Returns whether the job's pins allow a node, regardless of models. */
    public static boolean allows(PromptJob.Pins pins, String node, String pool) {
        return (pins.node() == null || pins.node().equals(node))
                && (pins.pool() == null || pins.pool().equals(pool))
                && (pins.node() != null || pins.pool() != null || !pool.equals(CLOUD));
    }

    private static int rank(String pool) {
        int place = FIRST.indexOf(pool);
        return place < 0 ? FIRST.size() : place;
    }

    /** Returns the name of the requested model at a node; empty if the node does not have it, as far as is known. */
    private Optional<String> modelAt(NodeView node, @Nullable String requested, Task task) {
        String wanted = requested == null ? defaultProfile : requested;
        String only = node.fetching().missing() ? null : node.only();
        if (wanted == null) {
            return only == null ? node.firstFor(task) : node.own(only);
        }
        Map<Backend, String> profile = profiles.get(wanted);
        if (profile != null) {
            // the answer must come from the profile's model: a node that does not list it does not get the job
            return Optional.ofNullable(profile.get(node.backend()))
                    .flatMap(model -> node.backend().listsModels() ? node.listedName(model) : Optional.of(model));
        }
        if (node.only() != null && !ModelName.same(node.only(), wanted)) {
            return Optional.empty();
        }
        return only == null ? node.listedName(wanted) : node.own(only);
    }

    /**
     * Returns the requested name for a node that cannot list its models, if no other node has that model. Such a node
     * may have it under this very name.
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

    /** Returns the name of a model or a profile at a node of this kind. */
    private String nameAt(NodeView node, String wanted) {
        return profiles.getOrDefault(wanted, Map.of()).getOrDefault(node.backend(), wanted);
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

    private static String neverReached(List<NodeView> nodes) {
        String unreached = nodes.stream()
                .filter(node -> node.neverReached() != null)
                .map(node -> "%s (%s)".formatted(node.name(), node.neverReached()))
                .collect(Collectors.joining(", "));
        return unreached.isEmpty() ? "" : ". Never reached: " + unreached;
    }

    private JobFailure noModel(
            @Nullable String requested,
            Task task,
            PromptJob.Pins pins,
            List<NodeView> allowed,
            Collection<NodeView> nodes) {
        String wanted = requested == null ? String.valueOf(defaultProfile) : requested;
        if (requested == null && defaultProfile == null) {
            return JobFailure.of(
                    JobFailure.Code.MODEL_NOT_FOUND,
                    "the job names no model, and no node lists one for %s: ".formatted(task.wireName())
                            + allowed.stream().map(NodeView::name).collect(Collectors.joining(", "))
                            + neverReached(allowed));
        }
        String there = allowed.stream()
                .flatMap(node -> node.models().stream().map(model -> model + " on " + node.name()))
                .limit(20)
                .collect(Collectors.joining(", "));
        String inVain = allowed.stream()
                .flatMap(node -> node.fetching().whyNot(nameAt(node, wanted)).stream())
                .collect(Collectors.joining("; "));
        boolean byHand = inVain.isEmpty()
                && profiles.get(wanted) == null
                && allowed.stream().anyMatch(node -> node.backend() == Backend.OLLAMA);
        String elsewhere = nodes.stream()
                .filter(node -> !allowed.contains(node) && node.has(nameAt(node, wanted)))
                .map(NodeView::name)
                .collect(Collectors.joining(", "));
        String models = profiles.getOrDefault(wanted, Map.of()).entrySet().stream()
                .map(model -> model.getKey().wireName() + ": " + model.getValue())
                .sorted()
                .collect(Collectors.joining(", "));
        String title = "model '%s'%s".formatted(wanted, models.isEmpty() ? "" : " (profile; " + models + ")");
        String pull = "ollama pull " + wanted;
        String vain = inVain.isEmpty() ? "" : ", and could not be fetched: " + inVain;
        String available = ". Available: " + (there.isEmpty() ? "none" : there) + neverReached(allowed);
        String on = elsewhere.isEmpty() ? "" : ". On: " + elsewhere;
        if (pins.node() != null) {
            return JobFailure.of(
                    JobFailure.Code.MODEL_NOT_FOUND,
                    "%s is not on node '%s'%s%s%s"
                            .formatted(
                                    title,
                                    pins.node(),
                                    byHand ? ": " + pull : "",
                                    vain,
                                    on.isEmpty() ? available : on));
        }
        return JobFailure.of(
                JobFailure.Code.MODEL_NOT_FOUND,
                "%s is on no node%s%s%s%s%s"
                        .formatted(
                                title,
                                nodes.size() == allowed.size() ? "" : " that this job may use",
                                byHand ? " (" + pull + ")" : "",
                                vain,
                                available,
                                on));
    }
}
