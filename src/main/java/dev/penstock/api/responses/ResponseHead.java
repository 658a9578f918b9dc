package dev.penstock.api.responses;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Objects;

/**
 * What is known of a response before its answer.
 *
 * @param id the response's id
 * @param createdAt seconds since the epoch
 * @param asked the request without its input
 */
record ResponseHead(String id, long createdAt, ObjectNode asked) {
    private static final String PREFIX = "resp_";
    /** The prefix of a response that is not kept. A lookup can tell so from the id alone. */
    private static final String NOT_KEPT = PREFIX + "call_";

    ResponseHead {
        asked = Objects.requireNonNull(asked).deepCopy();
    }

    /** Returns the id of a response that is kept, for a job of this id. */
    static String kept(String job) {
        return PREFIX + job;
    }

    static String notKept(String fresh) {
        return NOT_KEPT + fresh;
    }

    static boolean isKept(String id) {
        return id.startsWith(PREFIX) && !isNotKept(id);
    }

    static boolean isNotKept(String id) {
        return id.startsWith(NOT_KEPT);
    }

    /** Returns the part of the id that the ids of the output items contain too. */
    String base() {
        return id.startsWith(PREFIX) ? id.substring(PREFIX.length()) : id;
    }

    /** Returns whether the request asks for the reasoning as a summary. */
    boolean wantsSummary() {
        return asked.path("reasoning").hasNonNull("summary");
    }
}
