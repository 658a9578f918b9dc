package dev.penstock.execution.result;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Decides whether the model is asked again after an answer that does not fit, and what it is asked. A further answer is
 * asked for with the job's own request, the answer and its violations. It does not count as a failure of a node. Not
 * thread-safe: the thread of the run owns it.
 */
public final class Repairs {
    private final PromptJob job;
    private int left;

    /**
     * @param attempts the attempts of the job's earlier runs that no node failed. The events do not tell which of them
     *     were repairs, so all but the first one count. So a job whose runs crash or move does not ask for ever
     */
    public Repairs(PromptJob job, int attempts) {
        this.job = job;
        PromptJob.ResultRule rule = job.result();
        left = rule == null ? 0 : rule.repairs() - Math.max(0, attempts - 1);
    }

    /** Returns the request for a further answer; empty if there is none. */
    public Optional<PromptJob> after(JobFailure failure) {
        JobFailure.Misfit misfit = failure.misfit();
        if (misfit == null || left <= 0) {
            return Optional.empty();
        }
        left--;
        Map<String, Object> body = new LinkedHashMap<>(job.body());
        if (body.get("messages") instanceof List<?> messages) {
            body.put("messages", conversation(messages, misfit));
        } else {
            body.put("prompt", "%s%s\n\n%s\n".formatted(body.get("prompt"), misfit.text(), instruction(misfit)));
        }
        return Optional.of(job.with(body));
    }

    private static List<Object> conversation(List<?> messages, JobFailure.Misfit misfit) {
        List<Object> conversation = new ArrayList<>(messages);
        if (!misfit.text().isBlank()) {
            // some servers refuse an empty message
            conversation.add(Map.of("role", "assistant", "content", misfit.text()));
        }
        conversation.add(Map.of("role", "user", "content", instruction(misfit)));
        return conversation;
    }

    private static String instruction(JobFailure.Misfit misfit) {
        StringBuilder text = new StringBuilder("This answer does not fit the required JSON schema:\n");
        for (JobFailure.Misfit.Violation violation : misfit.violations()) {
            text.append("- ")
                    .append(violation.path().isEmpty() ? "the whole answer" : violation.path())
                    .append(": ")
                    .append(violation.message())
                    .append('\n');
        }
        return text.append("Answer again with the corrected JSON only, without any text around it.")
                .toString();
    }
}
