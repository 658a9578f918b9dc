package dev.penstock.execution;

import dev.penstock.job.Answer;
import dev.penstock.job.PromptJob;
import dev.penstock.job.TokenEvent;
import java.util.Optional;
import java.util.Set;

/**
 * The text of a job's answer, from all its attempts. It is the only copy: the text of a chunk that was sent is kept
 * nowhere else. Not thread-safe: the thread of the run owns it.
 */
final class Transcript {
    /** The request fields that make the rest of the answer depend on more than the text so far. */
    private static final Set<String> NOT_CONTINUABLE = Set.of(
            "logprobs", "top_logprobs", "tools", "functions", "response_format", "structured_outputs", "grammar");

    private final PromptJob job;
    private Answer.Builder answer = new Answer.Builder();
    /** Whether the answer so far is only plain text of one choice, and has not ended. */
    private boolean plain = true;

    private int chars;
    private int publishedChars;

    Transcript(PromptJob job) {
        this.job = job;
    }

    /** Drops the answer, so that the next attempt begins with an empty one. */
    void startOver() {
        answer = new Answer.Builder();
        plain = true;
        chars = 0;
        publishedChars = 0;
    }

    void add(TokenEvent event) {
        answer.add(event);
        switch (event) {
            case TokenEvent.Text(int choice, TokenEvent.Field field, String text) -> {
                plain &= choice == 0 && field == TokenEvent.Field.CONTENT;
                chars += text.length();
            }
            case TokenEvent.ToolCall _,
                    TokenEvent.Thinking _,
                    TokenEvent.Logprobs _,
                    TokenEvent.Embedding _,
                    TokenEvent.Finish _ -> plain = false;
            case TokenEvent.Role _, TokenEvent.Model _, TokenEvent.Spent _, TokenEvent.End _, TokenEvent.Broken _ -> {}
        }
    }

    /** Marks all text so far as published. */
    void published() {
        publishedChars = chars;
    }

    /** Returns the whole answer so far. */
    Answer answer(Answer.Head head) {
        return answer.build(head);
    }

    /**
     * Returns the published text if another attempt can continue it instead of starting over. Returns empty if no text
     * is published, if the answer is more than one plain text, or if the published text ends inside a code point.
     */
    Optional<String> continuable() {
        if (!plain || publishedChars == 0 || !isContinuable(job)) {
            return Optional.empty();
        }
        Answer.Head any = new Answer.Head("", 0, "", job.task());
        String text = answer.build(any).choices().getFirst().text().getOrDefault(TokenEvent.Field.CONTENT, "");
        return Character.isHighSurrogate(text.charAt(publishedChars - 1))
                ? Optional.empty()
                : Optional.of(text.substring(0, publishedChars));
    }

    private static boolean isContinuable(PromptJob job) {
        boolean one = !(job.body().get("n") instanceof Number n) || n.longValue() == 1;
        return one
                && switch (job.task()) {
                    case CHAT, COMPLETION, DESCRIBE ->
                        job.body().keySet().stream().noneMatch(NOT_CONTINUABLE::contains);
                    case EMBEDDINGS, TAG -> false;
                };
    }
}
