package dev.penstock.api.responses;

import java.util.Locale;

/** The phase of a response's life. */
enum ResponseStatus {
    QUEUED,
    IN_PROGRESS,
    COMPLETED,
    INCOMPLETE,
    FAILED,
    CANCELLED;

    String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Returns the type of the event that ends a stream in this status. */
    String event() {
        return switch (this) {
            case COMPLETED -> "response.completed";
            case FAILED -> "response.failed";
            // OpenAI has no event for a cancelled response: its status tells the difference
            case INCOMPLETE, CANCELLED -> "response.incomplete";
            case QUEUED -> "response.queued";
            case IN_PROGRESS -> "response.in_progress";
        };
    }
}
