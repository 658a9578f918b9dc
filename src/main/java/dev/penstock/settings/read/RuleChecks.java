package dev.penstock.settings.read;

import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import dev.penstock.settings.Conditions;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import dev.penstock.settings.Target;
import dev.penstock.wire.Nearest;
import dev.penstock.wire.document.JobDocument;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BiConsumer;

/** Checks the routing rules against each other and against the rest of the configuration. */
public final class RuleChecks {
    private static final int MOST_CHANGES = 3;

    private final List<Rule> rules;
    private final Installation installation;

    /**
     * The parts of the configuration to which rules refer.
     *
     * @param runtimeChanges whether nodes may be added at run time
     */
    record Installation(
            List<NodeSettings> nodes,
            Map<String, Map<Backend, String>> profiles,
            List<Settings.JobTopic> topics,
            boolean runtimeChanges) {

        private Set<String> pools() {
            Set<String> pools = new TreeSet<>();
            nodes.forEach(node -> pools.add(node.pool()));
            if (nodes.isEmpty()) {
                // servers on localhost are found later, and have these pools
                Arrays.stream(Backend.values()).forEach(backend -> pools.add(backend.defaultPool()));
            }
            return pools;
        }

        private Set<String> nodeNames() {
            Set<String> names = new TreeSet<>();
            nodes.forEach(node -> names.add(node.name()));
            return names;
        }
    }

    RuleChecks(List<Rule> rules, Installation installation) {
        this.rules = rules;
        this.installation = installation;
    }

    /** Returns one sentence for each rule that has less effect than its author may expect. */
    public static List<String> warnings(Settings settings) {
        return new RuleChecks(
                        settings.routing().rules(),
                        new Installation(
                                settings.nodes(),
                                settings.profiles(),
                                settings.intake().topics(),
                                settings.runtimeChanges()))
                .warnings();
    }

    private List<String> warnings() {
        List<String> warnings = new ArrayList<>();
        if (installation.runtimeChanges()) {
            unknownTargets((key, message) -> warnings.add(
                    "penstock.%s: %s. Its jobs fail with no_node until such a node is added, if nothing else in `to` exists"
                            .formatted(key, message)));
        }
        Set<String> both = installation.pools();
        both.retainAll(installation.nodeNames());
        for (int i = 0; i < rules.size(); i++) {
            Rule rule = rules.get(i);
            for (Rule earlier : rules.subList(0, i)) {
                if (earlier.when().covers(rule.when())) {
                    warnings.add(
                            "penstock.routes[%d]: rule '%s' never applies, because rule '%s' before it matches all its jobs"
                                    .formatted(i, rule.name(), earlier.name()));
                    break;
                }
            }
            for (Target target : rule.to()) {
                for (String name : target.names()) {
                    if (both.contains(name)) {
                        warnings.add("penstock.routes[%d].to: '%s' is a pool and a node: rule '%s' sends to both"
                                .formatted(i, name, rule.name()));
                    }
                }
            }
        }
        return warnings;
    }

    void mistakes(Mistakes mistakes) {
        Set<String> names = new HashSet<>();
        for (int i = 0; i < rules.size(); i++) {
            Rule rule = rules.get(i);
            String key = "routes[%d]".formatted(i);
            if (!names.add(rule.name())) {
                mistakes.mistake(key + ".name", "an earlier rule has the name '%s'".formatted(rule.name()));
            }
            never(rule, key + ".when", mistakes);
        }
        if (!installation.runtimeChanges()) {
            unknownTargets(mistakes::mistake);
        }
        cycle(mistakes);
    }

    private void unknownTargets(BiConsumer<String, String> mistake) {
        Set<String> known = new TreeSet<>(installation.pools());
        known.addAll(installation.nodeNames());
        for (int i = 0; i < rules.size(); i++) {
            List<Target> to = rules.get(i).to();
            for (int j = 0; j < to.size(); j++) {
                for (String name : to.get(j).names()) {
                    if (!known.contains(name)) {
                        mistake.accept(
                                "routes[%d].to[%d]".formatted(i, j),
                                "rule '%s': '%s' is no pool and no node of this configuration%s"
                                        .formatted(rules.get(i).name(), name, nearest(name, known)));
                    }
                }
            }
        }
    }

    private static String nearest(String name, Collection<String> known) {
        return Nearest.within(MOST_CHANGES, name, known)
                .map(near -> ". Did you mean %s?".formatted(near))
                .orElse(known.isEmpty() ? "" : ". There are " + String.join(", ", known));
    }

    /** Reports the conditions that no job can meet. */
    private void never(Rule rule, String key, Mistakes mistakes) {
        Conditions when = rule.when();
        String never = "rule '%s' can never match: ".formatted(rule.name());
        if (when.minTokens() > when.maxTokens()) {
            mistakes.mistake(
                    key + ".min-prompt-tokens",
                    never + "it is above max-prompt-tokens, which is %d".formatted(when.maxTokens()));
        }
        for (String profile : new TreeSet<>(when.profiles())) {
            if (!installation.profiles().containsKey(profile)) {
                mistakes.mistake(
                        key + ".profile",
                        "rule '%s': there is no profile '%s'%s"
                                .formatted(
                                        rule.name(),
                                        profile,
                                        nearest(
                                                profile,
                                                new TreeSet<>(
                                                        installation.profiles().keySet()))));
            }
        }
        profileAndModel(when).ifPresent(why -> mistakes.mistake(key + ".model", never + why));
        taskAndHas(when).ifPresent(why -> mistakes.mistake(key + ".has", never + why));
        topics(rule, key, mistakes);
        tenants(when).ifPresent(why -> mistakes.mistake(key + ".tenant", never + why));
    }

    private Optional<String> profileAndModel(Conditions when) {
        List<String> models = when.profiles().stream()
                .flatMap(profile -> installation.profiles().getOrDefault(profile, Map.of()).values().stream())
                .toList();
        boolean known = installation.profiles().keySet().containsAll(when.profiles());
        return when.profiles().isEmpty()
                        || when.models().isEmpty()
                        || !known
                        || models.stream()
                                .anyMatch(model -> when.models().stream().anyMatch(glob -> glob.matches(model)))
                ? Optional.empty()
                : Optional.of("no model of its profiles matches the pattern");
    }

    private static Optional<String> taskAndHas(Conditions when) {
        if (when.tasks().isEmpty() || when.has().isEmpty()) {
            return Optional.empty();
        }
        boolean possible =
                when.has().stream().anyMatch(trait -> when.tasks().stream().anyMatch(tasksWith(trait)::contains));
        return possible ? Optional.empty() : Optional.of("its tasks have none of these");
    }

    private static Set<Task> tasksWith(Conditions.Trait trait) {
        return switch (trait) {
            case CODE -> EnumSet.allOf(Task.class);
            case IMAGES -> EnumSet.of(Task.CHAT, Task.DESCRIBE, Task.TAG);
            case TOOLS, JSON, REASONING -> EnumSet.complementOf(EnumSet.of(Task.EMBEDDINGS, Task.RERANK, Task.SCORE));
        };
    }

    private void topics(Rule rule, String key, Mistakes mistakes) {
        List<String> known =
                installation.topics().stream().map(Settings.JobTopic::name).toList();
        for (String topic : new TreeSet<>(rule.when().topics())) {
            if (!known.contains(topic)) {
                mistakes.mistake(
                        key + ".topic",
                        "rule '%s': '%s' is no job topic%s".formatted(rule.name(), topic, nearest(topic, known)));
            }
        }
    }

    private Optional<String> tenants(Conditions when) {
        if (when.tenants().isEmpty()) {
            return Optional.empty();
        }
        if (!when.sources().isEmpty()
                && !when.sources().contains(Conditions.Source.KAFKA)
                && !when.tenants().contains(JobDocument.DEFAULT_TENANT)) {
            return Optional.of(
                    "in this version every job and call over REST has the tenant " + JobDocument.DEFAULT_TENANT);
        }
        boolean possible = installation.topics().stream()
                .filter(topic -> when.topics().isEmpty() || when.topics().contains(topic.name()))
                .anyMatch(topic -> topic.tenant().equals(JobDocument.TENANT_FROM_RECORD)
                        || when.tenants().contains(topic.tenant()));
        return possible ? Optional.empty() : Optional.of("no topic has jobs of such a tenant");
    }

    /**
     * Reports a cycle of names. A profile leads to its models, and a rule's {@code set.model} leads from the model and
     * the profile of its {@code when} to the model that it sets. A name that leads back to itself over others is a
     * mistake, because each name is looked up only once.
     */
    private void cycle(Mistakes mistakes) {
        Map<String, Map<String, String>> leads = new TreeMap<>();
        installation
                .profiles()
                .forEach((alias, models) -> models.forEach((backend, model) -> {
                    if (installation.profiles().containsKey(model) && !model.equals(alias)) {
                        leads.computeIfAbsent(alias, _ -> new TreeMap<>())
                                .put(model, "profiles.%s.%s".formatted(alias, backend.wireName()));
                    }
                }));
        for (int i = 0; i < rules.size(); i++) {
            String model = rules.get(i).set().model();
            if (model == null) {
                continue;
            }
            Set<String> from = new LinkedHashSet<>(rules.get(i).when().profiles());
            rules.get(i).when().models().forEach(glob -> from.add(glob.pattern()));
            String key = "routes[%d].set.model".formatted(i);
            from.stream()
                    .filter(name -> !name.equals(model))
                    .forEach(name ->
                            leads.computeIfAbsent(name, _ -> new TreeMap<>()).putIfAbsent(model, key));
        }
        Map<String, String> done = new HashMap<>();
        for (String name : leads.keySet()) {
            follow(name, new ArrayList<>(), leads, done).ifPresent(path -> {
                String key = leads.getOrDefault(path.getFirst(), Map.of()).getOrDefault(path.get(1), "profiles");
                mistakes.mistake(
                        key,
                        "the names lead in a circle: %s. A name is looked up only once"
                                .formatted(String.join(" → ", path)));
            });
        }
    }

    /** Returns the first circle that a name leads to. A name that was followed before gives none. */
    private static Optional<List<String>> follow(
            String name, List<String> path, Map<String, Map<String, String>> leads, Map<String, String> done) {
        int at = path.indexOf(name);
        if (at >= 0) {
            List<String> circle = new ArrayList<>(path.subList(at, path.size()));
            circle.add(name);
            return Optional.of(circle);
        }
        if (done.putIfAbsent(name, name) != null) {
            return Optional.empty();
        }
        path.add(name);
        for (String next : leads.getOrDefault(name, Map.of()).keySet()) {
            Optional<List<String>> circle = follow(next, path, leads, done);
            if (circle.isPresent()) {
                return circle;
            }
        }
        path.removeLast();
        return Optional.empty();
    }
}
