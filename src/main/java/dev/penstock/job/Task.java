package dev.penstock.job;

import java.util.Locale;

/** The kind of work that a job requests. The fields of its body decide the task. */
public enum Task {
    /** The body has {@code messages}. */
    CHAT,
    /** The body has {@code prompt}, and optionally {@code system}. */
    COMPLETION,
    /** The body has {@code input}. */
    EMBEDDINGS,
    /** The body has {@code images}, and optionally {@code prompt}. The answer is a description. */
    DESCRIBE,
    /** The body has {@code images} and {@code job.task: tag}. The answer is a list of tags. */
    TAG,
    /** The body has {@code query} and {@code documents}. The answer is the documents in the order of their relevance. */
    RERANK,
    /** The body has {@code text_1} and {@code text_2}. The answer is one score for each pair of texts. */
    SCORE;

    /** Returns whether the answer is a chat message. */
    public boolean answersInChat() {
        return switch (this) {
            case CHAT, DESCRIBE, TAG -> true;
            case COMPLETION, EMBEDDINGS, RERANK, SCORE -> false;
        };
    }

    /** Returns whether the answer is text. Any other answer comes as a whole, without chunks. */
    public boolean answersInText() {
        return switch (this) {
            case CHAT, COMPLETION, DESCRIBE, TAG -> true;
            case EMBEDDINGS, RERANK, SCORE -> false;
        };
    }

    /** Returns how the id of an answer begins, as in the answers of OpenAI and vLLM. */
    public String idPrefix() {
        return switch (this) {
            case CHAT, DESCRIBE, TAG -> "chatcmpl-";
            case COMPLETION, EMBEDDINGS -> "cmpl-";
            case RERANK -> "rerank-";
            case SCORE -> "score-";
        };
    }

    /** Returns the task's name in documents. */
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
