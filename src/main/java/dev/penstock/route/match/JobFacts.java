package dev.penstock.route.match;

import dev.penstock.job.Priority;
import dev.penstock.job.Task;
import dev.penstock.settings.Conditions;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The facts by which a rule is found.
 *
 * @param profile the profile that the job names, or the default profile; null if the job names a model or neither
 * @param models the model that the job names, or the models of its profile
 * @param prompt the facts about the prompt; only those that a rule asks for are set
 */
public record JobFacts(
        Task task,
        @Nullable String profile,
        List<String> models,
        Priority priority,
        String tenant,
        String topic,
        Map<String, String> metadata,
        Prompt prompt) {

    public JobFacts {
        models = List.copyOf(models);
        metadata = Map.copyOf(metadata);
    }

    /**
     * The facts that only the job's record has.
     *
     * @param tokens the estimate of the prompt's tokens
     * @param has what the prompt contains or requests
     * @param language the language as an ISO 639-1 code; null if it is not known
     */
    public record Prompt(
            Conditions.Source source,
            long tokens,
            Set<Conditions.Trait> has,
            @Nullable String language) {
        public Prompt {
            has = Set.copyOf(has);
        }
    }
}
