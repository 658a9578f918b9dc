package dev.penstock.execution.result;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import dev.penstock.execution.call.NodeCall;
import dev.penstock.execution.call.TagCheck;
import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import dev.penstock.wire.schema.AnswerSchema;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/** Checks a whole answer: is it what its job asks for? */
public final class AnswerCheck {
    private static final String CUT_OFF = "length";

    private AnswerCheck() {}

    /** Returns why the answer of this request is not what the job asks for; empty if it is. */
    public static Optional<JobFailure> failure(PromptJob job, NodeCall call, Answer answer) {
        PromptJob.ResultRule rule = job.result();
        boolean isChecked = rule != null && !(rule.trustsNode() && call.enforcesSchema());
        return isChecked && rule != null ? misfit(rule, answer) : TagCheck.failure(job, answer);
    }

    private static Optional<JobFailure> misfit(PromptJob.ResultRule rule, Answer answer) {
        AnswerSchema schema = schema(rule);
        for (Answer.Choice choice : answer.choices()) {
            // a call of a tool is no result yet
            if (choice.toolCalls().isEmpty()) {
                String text = choice.text().getOrDefault(TokenEvent.Field.CONTENT, "");
                List<JobFailure.Misfit.Violation> violations = schema.violations(text);
                if (!violations.isEmpty()) {
                    JobFailure.Misfit misfit = new JobFailure.Misfit(text, violations);
                    boolean cutOff = CUT_OFF.equals(choice.finishReason());
                    return Optional.of(JobFailure.misfit(message(misfit, cutOff), misfit));
                }
            }
        }
        return Optional.empty();
    }

    private static AnswerSchema schema(PromptJob.ResultRule rule) {
        try {
            JsonNode parsed = Json.parseLenient(rule.schema());
            return AnswerSchema.of(Objects.requireNonNullElse(parsed, NullNode.getInstance()), "schema");
        } catch (InvalidField e) {
            throw new IllegalStateException("the schema was valid when the job was read", e);
        }
    }

    private static String message(JobFailure.Misfit misfit, boolean cutOff) {
        JobFailure.Misfit.Violation first = misfit.violations().getFirst();
        int more = misfit.violations().size() - 1;
        return "the answer does not fit the schema: %s%s%s%s"
                .formatted(
                        first.path().isEmpty() ? "" : first.path() + ": ",
                        first.message(),
                        more == 0 ? "" : " (and %d more)".formatted(more),
                        cutOff ? ". It was cut off at its limit of tokens" : "");
    }
}
