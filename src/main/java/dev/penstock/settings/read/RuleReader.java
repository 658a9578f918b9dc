package dev.penstock.settings.read;

import dev.penstock.job.Priority;
import dev.penstock.job.Task;
import dev.penstock.settings.Conditions;
import dev.penstock.settings.Language;
import dev.penstock.settings.ModelGlob;
import dev.penstock.settings.NodeSettings;
import dev.penstock.settings.Placing;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import dev.penstock.settings.Target;
import dev.penstock.settings.source.FreeForm;
import dev.penstock.wire.ModelName;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;

/** Reads one routing rule. */
final class RuleReader {
    private static final List<String> KEYS = List.of(
            "name",
            "when",
            "to",
            "set",
            "timeouts",
            "retries",
            "balance",
            "bound",
            "on-overflow",
            "group",
            "group-max-wait",
            "continue",
            "hedge",
            "preempt");
    private static final List<String> WHEN = List.of(
            "task",
            "model",
            "profile",
            "priority",
            "tenant",
            "topic",
            "source",
            "min-prompt-tokens",
            "max-prompt-tokens",
            "has",
            "language",
            "metadata");
    private static final String SPLIT = "split";

    /** The fields of a request that are its content, or that belong to the job and not to the model. */
    private static final Set<String> NOT_PARAMETERS = Set.of(
            "model",
            "messages",
            "prompt",
            "system",
            "input",
            "images",
            "query",
            "documents",
            "text_1",
            "text_2",
            "stream",
            "metadata",
            "job");

    private static final int LONGEST_NAME = 64;

    /** Stands for the node's own 95th percentile of the time to the first token. */
    private static final String USUAL_FIRST_TOKEN = "p95";

    private final String key;
    private final RuleFields fields;
    private final Mistakes mistakes;

    /** @param key the key of the rule, such as {@code routes[0]} */
    RuleReader(String key, Map<?, ?> fields, Mistakes mistakes) {
        this.key = key;
        this.fields = new RuleFields(key, fields, mistakes);
        this.mistakes = mistakes;
    }

    Rule read() {
        fields.onlyKnown(KEYS);
        return new Rule(
                name(),
                when(fields.object("when")),
                to(),
                set(fields.object("set")),
                timeouts(),
                retries(),
                placing(),
                new Rule.Handling(continuing(), hedge(), preempts()));
    }

    private String name() {
        String name = fields.text("name").orElse(key);
        if (name.length() > LONGEST_NAME || name.chars().anyMatch(Character::isISOControl)) {
            fields.mistake("name", "a rule's name has 1 to %d characters on one line".formatted(LONGEST_NAME));
        }
        if (name.equals(Rule.NO_NAME)) {
            fields.mistake("name", "'%s' stands for jobs that no rule matches".formatted(Rule.NO_NAME));
        }
        return name;
    }

    private Conditions when(RuleFields when) {
        when.onlyKnown(WHEN);
        OptionalInt min = when.number("min-prompt-tokens", 0);
        OptionalInt max = when.number("max-prompt-tokens", 0);
        return new Conditions(
                when.each("task", List.of(Task.values()), Task::wireName),
                when.texts("model").stream().map(ModelGlob::new).toList(),
                new HashSet<>(when.texts("profile")),
                when.each("priority", List.of(Priority.values()), Priority::wireName),
                new HashSet<>(when.texts("tenant")),
                new HashSet<>(when.texts("topic")),
                when.each("source", List.of(Conditions.Source.values()), Conditions.Source::wireName),
                min.orElse(0),
                max.isPresent() ? max.getAsInt() : Long.MAX_VALUE,
                when.each("has", List.of(Conditions.Trait.values()), Conditions.Trait::wireName),
                when.each("language", Language.CODES, code -> code),
                metadata(when.object("metadata")));
    }

    private static Map<String, Set<String>> metadata(RuleFields metadata) {
        Map<String, Set<String>> pairs = new HashMap<>();
        for (String name : metadata.names()) {
            // one text is one value here, because values of metadata may contain commas
            pairs.put(
                    name,
                    metadata.value(name) instanceof String text ? Set.of(text) : new HashSet<>(metadata.texts(name)));
        }
        return pairs;
    }

    private List<Target> to() {
        List<Target> targets = new ArrayList<>();
        switch (fields.value("to")) {
            case String _ when !fields.has("to") -> {
                // the rule leaves the job its fixed order of pools
            }
            case String _ -> fields.texts("to").forEach(name -> targets.add(new Target.Named(name)));
            case List<?> list -> {
                for (int i = 0; i < list.size(); i++) {
                    target("to[%d]".formatted(i), list.get(i)).ifPresent(targets::add);
                }
            }
            case Map<?, ?> map -> target("to", map).ifPresent(targets::add);
            default -> fields.mistake("to", "expected pools and nodes");
        }
        return targets;
    }

    private Optional<Target> target(String at, Object value) {
        if (value instanceof String name && !name.isBlank()) {
            return Optional.of(new Target.Named(name.strip()));
        }
        if (!(value instanceof Map<?, ?> map)) {
            fields.mistake(at, "expected a pool, a node, or a split");
            return Optional.empty();
        }
        RuleFields target = new RuleFields(fields.key(at), map, mistakes);
        target.onlyKnown(List.of(SPLIT));
        RuleFields split = target.object(SPLIT);
        Map<String, Integer> weights = new TreeMap<>();
        for (String name : split.names()) {
            split.number(name, 1).ifPresent(weight -> weights.put(name, weight));
        }
        if (split.names().isEmpty()) {
            target.mistake(SPLIT, "expected pools or nodes with their weights, such as {gpu: 90, canary: 10}");
        }
        return weights.isEmpty() ? Optional.empty() : Optional.of(new Target.Split(weights));
    }

    private Rule.Change set(RuleFields set) {
        set.onlyKnown(List.of("model", "priority", "parameters"));
        Optional<String> model = set.text("model");
        if (model.isPresent() && !ModelName.isUsable(model.get())) {
            set.mistake("model", Mistakes.MODEL_NAME_RULE);
        }
        Map<String, Object> parameters = new HashMap<>();
        RuleFields given = set.object("parameters");
        for (String name : given.names()) {
            if (NOT_PARAMETERS.contains(name)) {
                given.mistake(name, "is no parameter: only the job sets it");
            } else {
                parameters.put(name, FreeForm.values(given.value(name)));
            }
        }
        return new Rule.Change(
                model.orElse(null),
                set.text("priority")
                        .flatMap(text ->
                                set.oneOf(set.key("priority"), text, List.of(Priority.values()), Priority::wireName))
                        .orElse(null),
                parameters);
    }

    private NodeSettings.OwnTimeouts timeouts() {
        RuleFields timeouts = fields.object("timeouts");
        timeouts.onlyKnown(List.of("connect", "first-token", "idle", "queue"));
        if (timeouts.has("connect")) {
            timeouts.mistake("connect", "belongs to a node, because jobs share its connections: set it at the node");
        }
        return new NodeSettings.OwnTimeouts(
                Optional.empty(),
                timeouts.duration("first-token"),
                timeouts.duration("idle"),
                timeouts.duration("queue"));
    }

    private Placing placing() {
        Optional<Placing.Balance> balance = balance();
        OptionalDouble bound = fields.decimal("bound", 1);
        if (fields.has("bound") && !balance.equals(Optional.of(Placing.Balance.PREFIX_AFFINITY))) {
            fields.mistake("bound", "belongs to balance: prefix-affinity");
        }
        Placing.Group group = fields.text("group")
                .flatMap(text -> fields.oneOf(
                        fields.key("group"), text, List.of(Placing.Group.values()), Placing.Group::wireName))
                .orElse(Placing.Group.MODEL);
        if (fields.has("group-max-wait") && group == Placing.Group.NONE) {
            fields.mistake("group-max-wait", "has no effect with group: none");
        }
        return new Placing(
                balance,
                bound.orElse(Placing.USUAL.bound()),
                fields.text("on-overflow")
                        .flatMap(text -> fields.oneOf(
                                fields.key("on-overflow"),
                                text,
                                List.of(Placing.Overflow.values()),
                                Placing.Overflow::wireName))
                        .orElse(Placing.Overflow.NEXT),
                group,
                fields.duration("group-max-wait").orElse(Placing.USUAL.groupMaxWait()));
    }

    private Optional<Placing.Balance> balance() {
        return fields.text("balance")
                // another spelling of the same
                .map(text -> text.equals("least-loaded") ? Placing.Balance.LEAST_LOAD.wireName() : text)
                .flatMap(text -> fields.oneOf(
                        fields.key("balance"), text, List.of(Placing.Balance.values()), Placing.Balance::wireName));
    }

    private Rule.OwnRetries retries() {
        RuleFields retries = fields.object("retries");
        retries.onlyKnown(List.of("max-attempts", "backoff", "max-backoff"));
        return new Rule.OwnRetries(
                retries.number("max-attempts", 1), retries.duration("backoff"), retries.duration("max-backoff"));
    }

    private Optional<Settings.Continuing> continuing() {
        return fields.text("continue")
                .flatMap(text -> fields.oneOf(
                        fields.key("continue"),
                        text,
                        List.of(Settings.Continuing.values()),
                        Settings.Continuing::wireName));
    }

    private Optional<Rule.Hedge> hedge() {
        if (!fields.has("hedge")) {
            return Optional.empty();
        }
        RuleFields hedge = fields.object("hedge");
        hedge.onlyKnown(List.of("after"));
        Optional<String> after = hedge.text("after");
        if (after.isEmpty()) {
            hedge.mistake("after", "expected %s or a duration, such as 2s".formatted(USUAL_FIRST_TOKEN));
        }
        return Optional.of(new Rule.Hedge(
                after.filter(text -> !text.equals(USUAL_FIRST_TOKEN)).flatMap(_ -> hedge.duration("after"))));
    }

    private boolean preempts() {
        return fields.text("preempt")
                .flatMap(text -> fields.oneOf(fields.key("preempt"), text, List.of(true, false), String::valueOf))
                .orElse(false);
    }
}
