package dev.penstock.route.match;

import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PromptSize;
import dev.penstock.job.Task;
import dev.penstock.route.StableHash;
import dev.penstock.route.Targets;
import dev.penstock.settings.Backend;
import dev.penstock.settings.Conditions;
import dev.penstock.settings.ModelGlob;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Finds the first rule that matches a job. Immutable. A decision is a pure function of the job. */
public final class Rules {
    /** The facts for rules that ask nothing of the prompt. */
    private static final JobFacts.Prompt UNASKED = new JobFacts.Prompt(Conditions.Source.KAFKA, 0, Set.of(), null);

    private final List<Rule> rules;
    private final Map<String, Map<Backend, String>> profiles;
    private final @Nullable String defaultProfile;
    private final boolean asksRecord;
    private final boolean asksTokens;
    private final boolean asksLanguage;
    private final Set<Conditions.Trait> asked = EnumSet.noneOf(Conditions.Trait.class);

    public Rules(Settings settings) {
        rules = settings.routing().rules();
        profiles = settings.profiles();
        defaultProfile = settings.defaultProfile();
        asksRecord = rules.stream().anyMatch(rule -> rule.when().asksRecord());
        asksTokens = rules.stream().anyMatch(rule -> rule.when().asksTokens());
        asksLanguage = rules.stream().anyMatch(rule -> !rule.when().languages().isEmpty());
        rules.forEach(rule -> asked.addAll(rule.when().has()));
    }

    /** The parts of a job that its record and the ledger have. */
    public record Known(
            JobId id,
            Task task,
            @Nullable String model,
            Priority priority,
            String tenant,
            String topic,
            Map<String, String> metadata) {
        private static Known of(PromptJob job, String topic) {
            return new Known(job.id(), job.task(), job.model(), job.priority(), job.tenant(), topic, job.metadata());
        }
    }

    /**
     * Decides about a job.
     *
     * @param topic the topic of the record in which the job arrived
     */
    public Decision decide(PromptJob job, String topic, Conditions.Source source) {
        if (rules.isEmpty()) {
            return Decision.NONE;
        }
        return decided(job.id(), match(facts(Known.of(job, topic), asksRecord ? look(job, source) : UNASKED)));
    }

    /** Decides about a job whose prompt is not at hand; empty if the decision depends on the prompt. */
    public Optional<Decision> decide(Known job) {
        JobFacts facts = facts(job, UNASKED);
        for (Rule rule : rules) {
            if (matchesKnown(rule.when(), facts)) {
                return rule.when().asksRecord() ? Optional.empty() : Optional.of(decided(job.id(), rule));
            }
        }
        return Optional.of(Decision.NONE);
    }

    /** Returns the first rule that matches; {@link Rule#NONE} if none does. */
    public Rule match(JobFacts facts) {
        for (Rule rule : rules) {
            if (matchesKnown(rule.when(), facts) && matchesPrompt(rule.when(), facts.prompt())) {
                return rule;
            }
        }
        return Rule.NONE;
    }

    private static Decision decided(JobId id, Rule rule) {
        if (rule.to().isEmpty()) {
            return rule.isNone() ? Decision.NONE : new Decision(rule, Targets.NONE);
        }
        double point = point(id);
        return new Decision(
                rule,
                new Targets(
                        rule.name(),
                        rule.to().stream().map(target -> target.at(point)).toList()));
    }

    /** Returns the facts about a job. Facts about the prompt that no rule asks for are not computed. */
    private JobFacts facts(Known job, JobFacts.Prompt prompt) {
        String named = job.model() == null ? defaultProfile : job.model();
        Map<Backend, String> profile = named == null ? null : profiles.get(named);
        List<String> models =
                named == null ? List.of() : profile == null ? List.of(named) : List.copyOf(profile.values());
        return new JobFacts(
                job.task(),
                profile == null ? null : named,
                models,
                job.priority(),
                job.tenant(),
                job.topic(),
                job.metadata(),
                prompt);
    }

    private JobFacts.Prompt look(PromptJob job, Conditions.Source source) {
        boolean reads = asksLanguage || asked.stream().anyMatch(PromptTraits::needsText);
        String text = reads ? PromptText.of(job) : "";
        return new JobFacts.Prompt(
                source,
                asksTokens ? job.promptSize().tokens(PromptSize.USUAL_CHARS_PER_TOKEN) : 0,
                PromptTraits.of(job, asked, text),
                asksLanguage ? PromptLanguage.of(text) : null);
    }

    private static boolean matchesKnown(Conditions when, JobFacts facts) {
        return (when.tasks().isEmpty() || when.tasks().contains(facts.task()))
                && (when.profiles().isEmpty()
                        || (facts.profile() != null && when.profiles().contains(facts.profile())))
                && (when.models().isEmpty() || matchesModel(when.models(), facts.models()))
                && (when.priorities().isEmpty() || when.priorities().contains(facts.priority()))
                && (when.tenants().isEmpty() || when.tenants().contains(facts.tenant()))
                && (when.topics().isEmpty() || when.topics().contains(facts.topic()))
                && (when.metadata().isEmpty() || matchesMetadata(when.metadata(), facts.metadata()));
    }

    private static boolean matchesModel(List<ModelGlob> globs, Collection<String> models) {
        for (ModelGlob glob : globs) {
            for (String model : models) {
                if (glob.matches(model)) {
                    return true;
                }
            }
        }
        return false;
    }

    private static boolean matchesMetadata(Map<String, Set<String>> wanted, Map<String, String> given) {
        for (Map.Entry<String, Set<String>> pair : wanted.entrySet()) {
            String value = given.get(pair.getKey());
            if (value == null || !pair.getValue().contains(value)) {
                return false;
            }
        }
        return true;
    }

    private static boolean matchesPrompt(Conditions when, JobFacts.Prompt prompt) {
        return (when.sources().isEmpty() || when.sources().contains(prompt.source()))
                && prompt.tokens() >= when.minTokens()
                && prompt.tokens() <= when.maxTokens()
                && (when.has().isEmpty() || hasAny(when.has(), prompt.has()))
                && (when.languages().isEmpty()
                        || (prompt.language() != null && when.languages().contains(prompt.language())));
    }

    private static boolean hasAny(Set<Conditions.Trait> wanted, Set<Conditions.Trait> found) {
        for (Conditions.Trait trait : found) {
            if (wanted.contains(trait)) {
                return true;
            }
        }
        return false;
    }

    /**
     * Returns a number from 0 to 1 that depends only on the id. It must be the same in every version, because a job that
     * is delivered again must go the same way.
     */
    private static double point(JobId id) {
        return (StableHash.of(id.value()) >>> 11) * 0x1.0p-53;
    }
}
