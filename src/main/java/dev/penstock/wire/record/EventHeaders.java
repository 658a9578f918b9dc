package dev.penstock.wire.record;

import dev.penstock.job.EventMark;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.jspecify.annotations.Nullable;

/** The headers of an event on a reply topic. The reading rule needs only these headers, so it parses no value. */
public final class EventHeaders {
    /** On a job's record, on every event, and on a deferred record: the job's id. */
    public static final String JOB_ID = "job-id";

    /** On the record of a job that came over REST, and on its deferred records: {@code rest}. */
    public static final String SOURCE = "job-source";

    /** On a deferred record: the path of its origin's place. */
    public static final String ORIGIN = "penstock-origin";

    /** On a deferred record: the last attempt before the job was deferred; absent if the job had not started. */
    public static final String HANDED_BACK = "penstock-handed-back";

    /** On a deferred record: the time at which it is due, in milliseconds since 1970. */
    public static final String NOT_BEFORE = "penstock-not-before";

    /** On a deferred record: the code for what the job waits for. */
    public static final String WAITS_FOR = "penstock-waits-for";

    /**
     * No job has so many attempts. A record with a larger number is another program's: after it, no attempt could take
     * over, and the job could never end.
     */
    private static final int MOST_ATTEMPTS = 1_000_000_000;

    private static final byte[] SCHEMA = utf8("1");
    private static final byte[] JSON = utf8("application/json");

    private EventHeaders() {}

    public static Headers of(byte[] jobId, EventMark mark, byte @Nullable [] traceparent) {
        Headers headers = new RecordHeaders()
                .add(JOB_ID, jobId)
                .add("event", utf8(mark.kind().wireName()))
                .add("seq", utf8(Long.toString(mark.seq())))
                .add("attempt", utf8(Integer.toString(mark.attempt())))
                .add("run", utf8(mark.run()))
                .add("schema", SCHEMA)
                .add("content-type", JSON);
        return traceparent == null ? headers : headers.add(TraceHeader.NAME, traceparent);
    }

    /** Returns the mark of a record on a reply topic; empty if another program wrote the record. */
    public static Optional<EventMark> mark(Headers headers) {
        String event = text(headers, "event");
        String attempt = text(headers, "attempt");
        String seq = text(headers, "seq");
        String run = text(headers, "run");
        if (event == null || attempt == null || seq == null || run == null) {
            return Optional.empty();
        }
        try {
            int attemptNumber = Integer.parseInt(attempt);
            long seqNumber = Long.parseLong(seq);
            if (attemptNumber > MOST_ATTEMPTS) {
                return Optional.empty();
            }
            return EventMark.Kind.of(event).map(kind -> new EventMark(kind, attemptNumber, run, seqNumber));
        } catch (NumberFormatException _) {
            return Optional.empty();
        }
    }

    /** Returns the last header of that name as text; null if there is none. */
    public static @Nullable String text(Headers headers, String name) {
        Header header = headers.lastHeader(name);
        return header == null || header.value() == null ? null : new String(header.value(), StandardCharsets.UTF_8);
    }

    /**
     * Returns the last header of that name as a number; null if there is no such header, or if its value is not a
     * number.
     */
    public static @Nullable Long number(Headers headers, String name) {
        String text = text(headers, name);
        try {
            return text == null ? null : Long.valueOf(text);
        } catch (NumberFormatException _) {
            return null;
        }
    }

    public static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
