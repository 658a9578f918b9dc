package dev.penstock.execution.call;

import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.document.TagList;
import java.util.Optional;

/** Checks the answer to a job that asks for tags. */
public final class TagCheck {
    private static final int MOST_OF_AN_ANSWER_IN_A_FAILURE = 100;

    private TagCheck() {}

    /** Returns the failure of a job that asks for tags, if the answer is no list of tags. */
    public static Optional<JobFailure> failure(PromptJob job, Answer answer) {
        if (job.task() != Task.TAG) {
            return Optional.empty();
        }
        String text = answer.choices().getFirst().text().getOrDefault(TokenEvent.Field.CONTENT, "");
        if (TagList.of(text).isPresent()) {
            return Optional.empty();
        }
        String line = text.strip().replaceAll("\\s+", " ");
        return Optional.of(JobFailure.of(
                JobFailure.Code.NODE_ERROR,
                "the model's answer is no list of tags: '%s'"
                        .formatted(
                                line.length() > MOST_OF_AN_ANSWER_IN_A_FAILURE
                                        ? line.substring(0, MOST_OF_AN_ANSWER_IN_A_FAILURE) + "…"
                                        : line)));
    }
}
