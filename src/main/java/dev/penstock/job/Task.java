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
    TAG;

    /** Returns whether the answer is a chat message. */
    public boolean answersInChat() {
        return switch (this) {
            case CHAT, DESCRIBE, TAG -> true;
            case COMPLETION, EMBEDDINGS -> false;
        };
    }

    /** Returns the task's name in documents. */
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
