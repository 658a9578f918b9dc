package dev.penstock.job;

import java.time.Duration;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The reason for a refusal or a failure, as data.
 *
 * @param code the kind of failure, which decides the HTTP status, the error type and the remedy
 * @param message one line with the cause and the way out
 * @param param the path of the wrong field, such as {@code job.timeout}; null if no field is wrong
 * @param node the node that failed; null if no node failed
 * @param again what is known about another attempt
 * @param misfit the answer that does not fit its job's schema; null if that is not the reason
 */
public record JobFailure(
        Code code,
        String message,
        @Nullable String param,
        @Nullable String node,
        Again again,
        @Nullable Misfit misfit) {

    /**
     * What is known about another attempt.
     *
     * @param after the wait that the server or the line asks for; null if it asks for none. A direct call's answer has it as
     *     Retry-After
     * @param loading true if the server is loading its model; until the model is loaded, it refuses every request
     */
    public record Again(@Nullable Duration after, boolean loading) {
        public static final Again UNSET = new Again(null, false);
        /** The usual wait after a direct call got no node. */
        public static final Again SOON = new Again(Duration.ofSeconds(2), false);
    }

    /**
     * An answer that does not fit its job's schema.
     *
     * @param text the text of the answer
     * @param violations what is wrong with the text; never empty, and limited in number and length
     */
    public record Misfit(String text, List<Violation> violations) {
        /** The longest text that a failure has, in characters. */
        public static final int LONGEST_TEXT = 65_536;

        /**
         * One place where the answer does not fit.
         *
         * @param path the place in the answer, as a JSON pointer; empty for the whole answer
         * @param message what is wrong there, in one line
         */
        public record Violation(String path, String message) {}

        public Misfit {
            violations = List.copyOf(violations);
            if (violations.isEmpty()) {
                throw new IllegalArgumentException("a misfit has a violation");
            }
        }

        /** Returns the beginning of the text that a failure has. It does not end inside a code point. */
        public String shortText() {
            if (text.length() <= LONGEST_TEXT) {
                return text;
            }
            boolean insideCodePoint = Character.isHighSurrogate(text.charAt(LONGEST_TEXT - 1));
            return text.substring(0, insideCodePoint ? LONGEST_TEXT - 1 : LONGEST_TEXT);
        }
    }

    /** The length limit of a message, because events, database rows and answers contain it. */
    private static final int LONGEST_MESSAGE = 2_000;

    public JobFailure {
        message = message.length() > LONGEST_MESSAGE ? message.substring(0, LONGEST_MESSAGE) + "…" : message;
    }

    public JobFailure(Code code, String message, @Nullable String param, @Nullable String node) {
        this(code, message, param, node, Again.UNSET, null);
    }

    /** The action that can help after a failure. */
    public enum Remedy {
        /** Nothing helps: the same request fails again. */
        NONE,
        /** Another node can help, because it may have what this node lacks. */
        OTHER_NODE,
        /** Another attempt can help, at another node if there is one. */
        RETRY
    }

    /** The codes of the contract, each with its HTTP status and OpenAI error type. */
    public enum Code {
        INVALID_REQUEST(400, "invalid_request_error", Remedy.NONE),
        UNSUPPORTED_MEDIA_TYPE(415, "invalid_request_error", Remedy.NONE),
        TOO_LARGE(413, "invalid_request_error", Remedy.NONE),
        UNAUTHORIZED(401, "authentication_error", Remedy.NONE),
        FORBIDDEN(403, "permission_error", Remedy.NONE),
        NOT_FOUND(404, "not_found_error", Remedy.NONE),
        ID_CONFLICT(409, "invalid_request_error", Remedy.NONE),
        RATE_LIMITED(429, "rate_limit_error", Remedy.NONE),
        MODEL_NOT_FOUND(404, "not_found_error", Remedy.OTHER_NODE),
        CONTEXT_LENGTH_EXCEEDED(400, "invalid_request_error", Remedy.OTHER_NODE),
        NODE_UNREACHABLE(502, "server_error", Remedy.RETRY),
        NODE_OVERLOADED(503, "server_error", Remedy.RETRY),
        NODE_UNAUTHORIZED(502, "server_error", Remedy.RETRY),
        NODE_ERROR(502, "server_error", Remedy.RETRY),
        STREAM_BROKEN(502, "server_error", Remedy.RETRY),
        FIRST_TOKEN_TIMEOUT(504, "timeout_error", Remedy.RETRY),
        IDLE_TIMEOUT(504, "timeout_error", Remedy.RETRY),
        TIMEOUT(504, "timeout_error", Remedy.NONE),
        INVALID_RESULT(422, "server_error", Remedy.NONE),
        NO_NODE(503, "server_error", Remedy.NONE),
        BROKER_UNAVAILABLE(503, "server_error", Remedy.NONE),
        LEDGER_UNAVAILABLE(503, "server_error", Remedy.NONE),
        POISON(500, "server_error", Remedy.NONE),
        LOST(500, "server_error", Remedy.NONE),
        /** The reason of a dead letter only: a webhook's receiver did not take an outcome. */
        WEBHOOK_FAILED(502, "server_error", Remedy.NONE),
        INTERNAL(500, "server_error", Remedy.NONE);

        private final int httpStatus;
        private final String type;
        private final Remedy remedy;
        private final String wireName = name().toLowerCase(Locale.ROOT);

        Code(int httpStatus, String type, Remedy remedy) {
            this.httpStatus = httpStatus;
            this.type = type;
            this.remedy = remedy;
        }

        public int httpStatus() {
            return httpStatus;
        }

        /** Returns the {@code type} for OpenAI's error object. */
        public String type() {
            return type;
        }

        public Remedy remedy() {
            return remedy;
        }

        public String wireName() {
            return wireName;
        }
    }

    public static JobFailure of(Code code, String message) {
        return new JobFailure(code, message, null, null);
    }

    public static JobFailure invalid(String param, String message) {
        return new JobFailure(Code.INVALID_REQUEST, param + ": " + message, param, null);
    }

    /** @param message what does not fit, in one line */
    public static JobFailure misfit(String message, Misfit misfit) {
        return new JobFailure(Code.INVALID_RESULT, message, null, null, Again.UNSET, misfit);
    }

    public JobFailure atNode(String name) {
        return new JobFailure(code, message, param, name, again, misfit);
    }

    /** Returns this failure with what is known about another attempt. */
    public JobFailure with(Again reported) {
        return new JobFailure(code, message, param, node, reported, misfit);
    }

    /** Returns this failure with more text at the end of its message. */
    public JobFailure saying(String more) {
        return new JobFailure(code, message + more, param, node, again, misfit);
    }

    /** Returns this failure without the text of the answer that does not fit. */
    public JobFailure withoutText() {
        Misfit violations = misfit == null ? null : new Misfit("", misfit.violations());
        return new JobFailure(code, message, param, node, again, violations);
    }

    /** Returns whether the same job may succeed when a client sends it again. */
    public boolean retryable() {
        return code.remedy() == Remedy.RETRY || code == Code.TIMEOUT || code == Code.LOST;
    }
}
