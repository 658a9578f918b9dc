package dev.penstock.job;

import java.util.Locale;

/** What a job asks for. The fields of its body decide it. */
public enum Task {
    /** {@code messages}. */
    CHAT,
    /** {@code prompt}, with an optional {@code system}. */
    COMPLETION,
    /** {@code input}. */
    EMBEDDINGS,
    /** {@code images}, with an optional {@code prompt}: a description. */
    DESCRIBE,
    /** {@code images} and {@code job.task: tag}: a list of tags. */
    TAG;

    /** Returns whether the answer is a chat message. */
    public boolean answersInChat() {
        return switch (this) {
            case CHAT, DESCRIBE, TAG -> true;
            case COMPLETION, EMBEDDINGS -> false;
        };
    }

    /** Returns the name on the wire. */
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
