package dev.penstock.schedule;

import dev.penstock.node.Node;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.settings.Placing;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * Groups the jobs that profit from each other at a node. A node that must load a model in place of another one takes jobs
 * for the model that it holds first. At any other node, jobs whose prompts begin with the same text follow each other, if
 * their rule says so. A job gives way to later jobs only for a limited time; then turn decides. A replica knows only its
 * own requests. Not thread-safe.
 */
final class Groups {
    private final Predicate<String> swapsModels;
    /** The model of the last job at each node. */
    private final Map<String, String> held = new HashMap<>();
    /** The beginning of the last prompt at each node, for jobs that are grouped by it. */
    private final Map<String, Long> begun = new HashMap<>();
    /** The waiting jobs that are grouped by the beginning of their prompts, by its hash. */
    private final Map<Long, TreeSet<Wait>> byPrefix = new HashMap<>();
    /** For each job that a later one has passed: the time when this happened first. By turn. */
    private final Map<Long, Long> passedSince = new HashMap<>();

    /**
     * Returns whether a node loads a model in place of another one: a server that loads models when a job needs them, and
     * that holds at most one now.
     */
    static boolean swapsModels(Node node) {
        boolean loads = switch (node.settings().backend()) {
            case OLLAMA, LLAMA_SERVER -> true;
            case VLLM, OPENAI, AZURE_OPENAI, ANTHROPIC, LM_STUDIO, LLAMA_CLI, OPENAI_COMPATIBLE -> false;
        };
        return loads
                && node.health().models().stream()
                                .filter(WireProtocol.Model::loaded)
                                .limit(2)
                                .count()
                        < 2;
    }

    /** @param swapsModels tests whether a node, by its name, loads a model in place of another one */
    Groups(Predicate<String> swapsModels) {
        this.swapsModels = swapsModels;
    }

    void joined(Wait wait) {
        Long prefix = wait.demand().grouping().prefix();
        if (prefix != null) {
            byPrefix.computeIfAbsent(prefix, _ -> new TreeSet<>(Wait.BY_DEADLINE))
                    .add(wait);
        }
    }

    void left(Wait wait) {
        passedSince.remove(wait.turn());
        Long prefix = wait.demand().grouping().prefix();
        if (prefix != null) {
            byPrefix.computeIfPresent(prefix, (_, waits) -> {
                waits.remove(wait);
                return waits.isEmpty() ? null : waits;
            });
        }
    }

    /** Returns whether a job for this model makes the node load the model in place of another one. */
    boolean wouldSwap(String node, String model) {
        String last = held.get(node);
        return last != null && !last.equals(model) && swapsModels.test(node);
    }

    /** Returns the waiting jobs whose prompts begin like the last one at a node, if this job gives way to them. */
    Collection<Wait> alike(Wait wait, String node) {
        Long prefix = wait.demand().grouping().prefix();
        Long last = begun.get(node);
        Collection<Wait> alike = prefix == null || last == null || last.equals(prefix) ? null : byPrefix.get(last);
        return alike == null ? List.of() : alike;
    }

    /** Returns whether a job gives way to no later job, now or at all. */
    boolean isFirm(Wait wait, long now) {
        Long since = passedSince.get(wait.turn());
        return wait.due() != Wait.NEVER
                || wait.demand().grouping().group() == Placing.Group.NONE
                || (since != null && now - since >= wait.demand().grouping().maxWaitNanos());
    }

    /** Records that a later job goes before this one. */
    void passedOver(Wait wait, long now) {
        passedSince.putIfAbsent(wait.turn(), now);
    }

    /**
     * Records that a job goes to a node.
     *
     * @return whether the node must load the model in place of another one
     */
    boolean granted(Wait wait, String node, String model) {
        boolean swaps = wouldSwap(node, model);
        held.put(node, model);
        Long prefix = wait.demand().grouping().prefix();
        if (prefix == null) {
            begun.remove(node);
        } else {
            begun.put(node, prefix);
        }
        return swaps;
    }
}
