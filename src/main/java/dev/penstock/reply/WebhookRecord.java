package dev.penstock.reply;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.wire.record.EventHeaders;
import dev.penstock.wire.record.TraceHeader;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.HexFormat;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * A record on the webhook topic: an outcome that is to be posted to a webhook. It has the headers of the event, and
 * these headers:
 *
 * <ul>
 *   <li>{@code penstock-webhook}: the name of the webhook
 *   <li>{@code penstock-created-at}: the time of the job's record, in milliseconds since 1970
 *   <li>{@code penstock-webhook-since}: when the record was first written, or last retried by an operator
 *   <li>{@code penstock-webhook-failed}: the number of failed posts
 *   <li>{@code penstock-webhook-valid}: set once the outcome is known to be the valid one of its job
 *   <li>{@code penstock-not-before}: the time when the record is due, in milliseconds since 1970
 * </ul>
 *
 * @param mark the mark of the outcome
 * @param acceptedAt the time of the job's record; the events of the job are not older
 * @param since the time from which the posts are limited
 * @param failed the number of failed posts
 * @param valid whether the outcome is known to be the valid one of its job
 * @param event the outcome as JSON, exactly as it is posted
 * @param traceparent the trace of the job's producer; null if there is none
 */
public record WebhookRecord(
        String webhook,
        JobId id,
        EventMark mark,
        Instant acceptedAt,
        Instant since,
        Instant dueAt,
        int failed,
        boolean valid,
        Bytes event,
        @Nullable Bytes traceparent) {
    private static final String WEBHOOK = "penstock-webhook";
    private static final String CREATED_AT = "penstock-created-at";
    private static final String SINCE = "penstock-webhook-since";
    private static final String FAILED = "penstock-webhook-failed";
    private static final String VALID = "penstock-webhook-valid";
    private static final int ID_BYTES = 16;

    /** Reads a record of the topic, or a dead letter of it; empty if Penstock did not write the record. */
    public static Optional<WebhookRecord> of(ConsumerRecord<byte[], byte[]> record) {
        Headers headers = record.headers();
        String webhook = EventHeaders.text(headers, WEBHOOK);
        String id = EventHeaders.text(headers, EventHeaders.JOB_ID);
        EventMark mark = EventHeaders.mark(headers)
                .filter(found -> found.kind().isOutcome())
                .orElse(null);
        Long acceptedAt = EventHeaders.number(headers, CREATED_AT);
        Long since = EventHeaders.number(headers, SINCE);
        Long dueAt = EventHeaders.number(headers, EventHeaders.NOT_BEFORE);
        Long failed = EventHeaders.number(headers, FAILED);
        if (webhook == null
                || id == null
                || !JobId.isValid(id)
                || mark == null
                || acceptedAt == null
                || since == null
                || dueAt == null
                || failed == null
                || failed < 0
                || failed > Integer.MAX_VALUE
                || record.value() == null) {
            return Optional.empty();
        }
        Header trace = headers.lastHeader(TraceHeader.NAME);
        return Optional.of(new WebhookRecord(
                webhook,
                new JobId(id),
                mark,
                Instant.ofEpochMilli(acceptedAt),
                Instant.ofEpochMilli(since),
                Instant.ofEpochMilli(dueAt),
                failed.intValue(),
                headers.lastHeader(VALID) != null,
                Bytes.wrap(record.value()),
                trace == null || trace.value() == null ? null : Bytes.wrap(trace.value())));
    }

    /**
     * Returns the value of the header webhook-id. It is the same at every post of this outcome of the job. It has no full
     * stop, because a full stop separates the parts of the signed content, and a client may choose the job's id.
     */
    public String messageId() {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256")
                    .digest("%s %s".formatted(id, mark.kind().wireName()).getBytes(StandardCharsets.UTF_8));
            return "msg_" + HexFormat.of().formatHex(hash, 0, ID_BYTES);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
    }

    /** Returns the record for a further post after a failed one. */
    public WebhookRecord failedAgain(Instant due) {
        return with(since, due, failed + 1, valid);
    }

    /** Returns the record for a later look; no post has failed. */
    public WebhookRecord later(Instant due) {
        return with(since, due, failed, valid);
    }

    /** Returns the record of an outcome that is the valid one of its job. */
    public WebhookRecord asValid() {
        return with(since, dueAt, failed, true);
    }

    /** Returns the record of a dead letter with all its posts before it. A void outcome becomes no dead letter. */
    public WebhookRecord anew(Instant now) {
        return with(now, now, 0, true);
    }

    private WebhookRecord with(Instant newSince, Instant due, int posts, boolean known) {
        return new WebhookRecord(webhook, id, mark, acceptedAt, newSince, due, posts, known, event, traceparent);
    }

    ProducerRecord<byte[], byte[]> toRecord(String topic, int partition) {
        byte[] key = EventHeaders.utf8(id.value());
        Headers headers = EventHeaders.of(key, mark, traceparent == null ? null : traceparent.get())
                .add(WEBHOOK, EventHeaders.utf8(webhook))
                .add(CREATED_AT, utf8(acceptedAt.toEpochMilli()))
                .add(SINCE, utf8(since.toEpochMilli()))
                .add(FAILED, utf8(failed))
                .add(EventHeaders.NOT_BEFORE, utf8(dueAt.toEpochMilli()));
        if (valid) {
            headers.add(VALID, utf8(1));
        }
        return new ProducerRecord<>(topic, partition, null, key, event.get(), headers);
    }

    private static byte[] utf8(long number) {
        return EventHeaders.utf8(Long.toString(number));
    }
}
