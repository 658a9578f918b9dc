package dev.penstock.route;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The reasons why nodes cannot serve a job, in words.
 *
 * @param wanted the job's model or profile; null if the job and the configuration name none
 */
record Refusals(@Nullable String wanted, Map<String, Map<Backend, String>> profiles) {
    private static final int MOST_LISTED = 20;

    /** Returns the failure of a job that no node may serve, regardless of models. */
    static JobFailure noneAllowed(PromptJob.Pins pins, Targets targets, Collection<Router.NodeView> nodes) {
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
        } else if (!targets.isNone()) {
            what = "rule '%s' sends to %s, and there is no such pool and no such node"
                    .formatted(targets.rule(), String.join(", ", targets.names()));
        } else {
            what =
                    "no node is configured outside pool 'cloud', and prompts go there only by a rule, job.pool or cloud-fallback";
        }
        return JobFailure.of(
                JobFailure.Code.NO_NODE, what + ". Available: " + (available.isEmpty() ? "none" : available));
    }

    /** Returns why pins or targets leave out a node. */
    static String notAllowed(PromptJob.Pins pins, Targets targets) {
        if (pins.node() != null) {
            return "the job pins node '%s'%s"
                    .formatted(pins.node(), pins.pool() == null ? "" : " in pool '" + pins.pool() + "'");
        }
        if (pins.pool() != null) {
            return "the job pins pool '%s'".formatted(pins.pool());
        }
        return targets.isNone()
                ? "prompts go to pool 'cloud' only by a rule, job.pool or cloud-fallback"
                : "rule '%s' sends to %s".formatted(targets.rule(), String.join(", ", targets.names()));
    }

    /** Returns why a node does not serve the job's model now. */
    String noModelAt(Router.NodeView node, Task task) {
        if (!node.modelsKnown()) {
            return "it has not listed its models yet";
        }
        if (wanted == null) {
            return "it lists no model for " + task.wireName();
        }
        Map<Backend, String> profile = profiles.get(wanted);
        if (profile != null && !profile.containsKey(node.backend())) {
            return "profile '%s' has no model for %s"
                    .formatted(wanted, node.backend().wireName());
        }
        String model = nameAt(node);
        String failed = node.fetching().whyNot(model).map(why -> "; " + why).orElse("");
        return profile == null && node.only() != null
                ? "it serves only model '%s'%s".formatted(node.only(), failed)
                : "it does not list model '%s'%s".formatted(model, failed);
    }

    /** Returns the name that the node's backend has for the wanted model or profile. */
    private String nameAt(Router.NodeView node) {
        String name = String.valueOf(wanted);
        return profiles.getOrDefault(name, Map.of()).getOrDefault(node.backend(), name);
    }

    private static String neverReached(List<Router.NodeView> nodes) {
        String unreached = nodes.stream()
                .filter(node -> node.neverReached() != null)
                .map(node -> "%s (%s)".formatted(node.name(), node.neverReached()))
                .collect(Collectors.joining(", "));
        return unreached.isEmpty() ? "" : ". Never reached: " + unreached;
    }

    /** Returns the failure of a job whose model no allowed node has. */
    JobFailure noModel(
            Task task, PromptJob.Pins pins, List<Router.NodeView> allowed, Collection<Router.NodeView> nodes) {
        if (wanted == null) {
            return JobFailure.of(
                    JobFailure.Code.MODEL_NOT_FOUND,
                    "the job names no model, and no node lists one for %s: ".formatted(task.wireName())
                            + allowed.stream().map(Router.NodeView::name).collect(Collectors.joining(", "))
                            + neverReached(allowed));
        }
        String there = allowed.stream()
                .flatMap(node -> node.models().stream().map(model -> model + " on " + node.name()))
                .limit(MOST_LISTED)
                .collect(Collectors.joining(", "));
        String inVain = allowed.stream()
                .flatMap(node -> node.fetching().whyNot(nameAt(node)).stream())
                .collect(Collectors.joining("; "));
        boolean byHand = inVain.isEmpty()
                && profiles.get(wanted) == null
                && allowed.stream().anyMatch(node -> node.backend() == Backend.OLLAMA);
        String elsewhere = nodes.stream()
                .filter(node -> !allowed.contains(node) && node.has(nameAt(node)))
                .map(Router.NodeView::name)
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
