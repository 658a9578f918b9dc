package dev.penstock.wire;

import dev.penstock.job.EventMark;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.jspecify.annotations.Nullable;

/** The headers of an event on a reply topic: enough for the reading rule, so that no value is parsed for it. */
public final class EventHeaders {
    /** Of a job's record, of every event, and of a copy. */
    public static final String JOB_ID = "job-id";

    /** Of a copy: the place of the record that the job came in, as its path. */
    public static final String ORIGIN = "penstock-origin";

    /** Of a copy: the last attempt before it was deferred; absent where the job had not started. */
    public static final String HANDED_BACK = "penstock-handed-back";

    /** Of a copy: when it is due, in milliseconds since 1970. */
    public static final String NOT_BEFORE = "penstock-not-before";

    /** Of a copy: what the job waits for. */
    public static final String WAITS_FOR = "penstock-waits-for";

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

    /** The mark of a record of a reply topic; empty where somebody else wrote it. */
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
            return EventMark.Kind.of(event).map(kind -> new EventMark(kind, attemptNumber, run, seqNumber));
        } catch (NumberFormatException _) {
            return Optional.empty();
        }
    }

    /** The last header of that name as text; null where there is none. */
    public static @Nullable String text(Headers headers, String name) {
        Header header = headers.lastHeader(name);
        return header == null || header.value() == null ? null : new String(header.value(), StandardCharsets.UTF_8);
    }

    /** The last header of that name as a number; null where there is none, or it is no number. */
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
