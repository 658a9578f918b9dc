package dev.penstock.execution;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.node.Node;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.settings.Settings;
import dev.penstock.wire.ModelName;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Decides whether an attempt continues the published text of the attempts before it, or starts over. Not thread-safe:
 * the thread of the run owns it.
 */
public final class ContinuePlan {
    /** The failures with which a server may refuse to continue a text. */
    private static final Set<JobFailure.Code> REFUSALS = EnumSet.of(
            JobFailure.Code.INVALID_REQUEST,
            JobFailure.Code.CONTEXT_LENGTH_EXCEEDED,
            JobFailure.Code.MODEL_NOT_FOUND,
            JobFailure.Code.NODE_ERROR);

    private static final String ANY_TEXT = "any text";

    private final Settings.Continuing policy;
    private final Map<String, Object> parameters;
    private boolean refused;

    /** @param parameters the values of the job's routing rule for fields that the job does not set */
    ContinuePlan(Settings.Continuing policy, Map<String, Object> parameters) {
        this.policy = policy;
        this.parameters = parameters;
    }

    /**
     * Returns whether the text of this job's answer can be continued at all. The job must want chunks and one plain
     * text. If the job's last message is the assistant's, the answer continues that message already.
     */
    public static boolean mayContinue(Settings.Continuing policy, PromptJob job) {
        return policy != Settings.Continuing.NEVER
                && job.stream()
                && Prompt.isOneText(job.body())
                && switch (job.task()) {
                    case CHAT -> !endsWithAssistant(job.body().get("messages"));
                    case COMPLETION, DESCRIBE -> true;
                    case EMBEDDINGS, TAG, RERANK, SCORE -> false;
                };
    }

    private static boolean endsWithAssistant(@Nullable Object messages) {
        return messages instanceof List<?> list
                && !list.isEmpty()
                && list.getLast() instanceof Map<?, ?> last
                && "assistant".equals(last.get("role"));
    }

    /**
     * Returns the text that an attempt at this node continues; empty if the attempt starts over.
     *
     * @param published the text of the attempts before; empty if there is none that can be continued
     */
    Optional<PublishedText> at(Node node, PromptJob job, String model, Optional<PublishedText> published) {
        return published
                .filter(text -> !refused && isAllowed(text.model(), model))
                .filter(text -> node.canContinue(job, model, parameters, text.text()));
    }

    /** Returns whether an answer of this job that stops at this node could go on at a node like it. */
    boolean mayContinueAt(Node node, PromptJob job, String model) {
        return policy != Settings.Continuing.NEVER && !refused && node.canContinue(job, model, parameters, ANY_TEXT);
    }

    private boolean isAllowed(String before, String now) {
        return switch (policy) {
            case SAME_MODEL -> ModelName.same(before, now) || ModelName.same(now, before);
            case ANY -> true;
            case NEVER -> false;
        };
    }

    /**
     * Takes the failure of an attempt that should have continued a text and sent nothing. If the server may have refused
     * to continue, the later attempts start over. So a job never fails because its text was to be continued.
     *
     * @return whether the same request without the text may succeed, although the failure itself allows no further
     *     attempt there
     */
    boolean failed(JobFailure failure) {
        boolean mayBeRefusal = REFUSALS.contains(failure.code());
        refused |= mayBeRefusal;
        return mayBeRefusal && failure.code().remedy() != JobFailure.Remedy.RETRY;
    }
}
