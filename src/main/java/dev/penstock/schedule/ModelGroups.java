package dev.penstock.schedule;

import dev.penstock.node.Node;
import dev.penstock.node.protocol.WireProtocol;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Predicate;

/**
 * Groups the jobs for the same model at nodes that must load a model in place of another one. Such a node takes jobs for
 * the model that it holds first. A job gives way to later jobs only for {@link #MAX_WAIT}; then turn decides. A replica
 * knows only its own requests. Not thread-safe.
 */
final class ModelGroups {
    /** How long later jobs may go before a job whose turn has come. */
    static final Duration MAX_WAIT = Duration.ofSeconds(10);

    private final Predicate<String> swapsModels;
    /** The model of the last job at each node. */
    private final Map<String, String> held = new HashMap<>();
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
    ModelGroups(Predicate<String> swapsModels) {
        this.swapsModels = swapsModels;
    }

    /** Returns whether a job for this model makes the node load the model in place of another one. */
    boolean wouldSwap(String node, String model) {
        String last = held.get(node);
        return last != null && !last.equals(model) && swapsModels.test(node);
    }

    /** Returns whether a job has given way long enough. */
    boolean hasWaitedEnough(Wait wait, long now) {
        Long since = passedSince.get(wait.turn());
        return since != null && now - since >= MAX_WAIT.toNanos();
    }

    /** Records that a later job goes before this one. */
    void passedOver(Wait wait, long now) {
        passedSince.putIfAbsent(wait.turn(), now);
    }

    void left(Wait wait) {
        passedSince.remove(wait.turn());
    }

    /**
     * Records that a job goes to a node.
     *
     * @return whether the node must load the model in place of another one
     */
    boolean granted(String node, String model) {
        boolean swaps = wouldSwap(node, model);
        held.put(node, model);
        return swaps;
    }
}
