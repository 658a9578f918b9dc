package dev.penstock.settings;

import dev.penstock.job.Priority;
import dev.penstock.job.Task;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * The jobs that a rule matches. All conditions must hold. An empty set is no condition. A set with several values holds
 * if the job has any of them.
 *
 * @param models patterns for the job's model, or for a model of the job's profile
 * @param minTokens the smallest estimate of the prompt's tokens
 * @param maxTokens the largest estimate of the prompt's tokens
 * @param has what the prompt contains or requests
 * @param languages the language of the prompt, as an ISO 639-1 code
 * @param metadata for each key, the values that it may have
 */
public record Conditions(
        Set<Task> tasks,
        List<ModelGlob> models,
        Set<String> profiles,
        Set<Priority> priorities,
        Set<String> tenants,
        Set<String> topics,
        Set<Source> sources,
        long minTokens,
        long maxTokens,
        Set<Trait> has,
        Set<String> languages,
        Map<String, Set<String>> metadata) {
    /** Matches every job. */
    public static final Conditions ANY = new Conditions(
            Set.of(),
            List.of(),
            Set.of(),
            Set.of(),
            Set.of(),
            Set.of(),
            Set.of(),
            0,
            Long.MAX_VALUE,
            Set.of(),
            Set.of(),
            Map.of());

    /** Where a job comes from. */
    public enum Source {
        /** A producer wrote the record. */
        KAFKA,
        /** A caller of {@code POST /v1/jobs} submitted it. */
        REST,
        /** It is a direct call. */
        OPENAI;

        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** What a prompt contains or requests. */
    public enum Trait {
        CODE,
        IMAGES,
        TOOLS,
        JSON,
        REASONING;

        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    public Conditions {
        tasks = Set.copyOf(tasks);
        models = List.copyOf(models);
        profiles = Set.copyOf(profiles);
        priorities = Set.copyOf(priorities);
        tenants = Set.copyOf(tenants);
        topics = Set.copyOf(topics);
        sources = Set.copyOf(sources);
        has = Set.copyOf(has);
        languages = Set.copyOf(languages);
        Map<String, Set<String>> copy = new HashMap<>();
        metadata.forEach((key, values) -> copy.put(key, Set.copyOf(values)));
        metadata = Map.copyOf(copy);
    }

    /** Returns whether a condition depends on the number of the prompt's tokens. */
    public boolean asksTokens() {
        return minTokens > 0 || maxTokens < Long.MAX_VALUE;
    }

    /** Returns whether a condition depends on facts that only the replica with the job's record knows. */
    public boolean asksRecord() {
        return asksTokens() || !has.isEmpty() || !languages.isEmpty() || !sources.isEmpty();
    }

    /** Returns whether these conditions hold for every job for which the others hold. It may miss such a case. */
    public boolean covers(Conditions other) {
        return covers(tasks, other.tasks)
                && coversModels(other.models)
                && covers(profiles, other.profiles)
                && covers(priorities, other.priorities)
                && covers(tenants, other.tenants)
                && covers(topics, other.topics)
                && covers(sources, other.sources)
                && minTokens <= other.minTokens
                && maxTokens >= other.maxTokens
                && covers(has, other.has)
                && covers(languages, other.languages)
                && metadata.entrySet().stream()
                        .allMatch(
                                pair -> covers(pair.getValue(), other.metadata.getOrDefault(pair.getKey(), Set.of())));
    }

    private static <T> boolean covers(Set<T> these, Set<T> others) {
        return these.isEmpty() || (!others.isEmpty() && these.containsAll(others));
    }

    private boolean coversModels(List<ModelGlob> others) {
        return models.isEmpty()
                || (!others.isEmpty()
                        && others.stream().allMatch(other -> models.stream().anyMatch(model -> model.covers(other))));
    }
}
