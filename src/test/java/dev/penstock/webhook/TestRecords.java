package dev.penstock.webhook;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.reply.WebhookRecord;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import org.apache.kafka.common.utils.Bytes;

/** Webhook records as a test needs them. */
final class TestRecords {
    static final EventMark MARK = new EventMark(EventMark.Kind.COMPLETED, 1, "run1", 2);

    private TestRecords() {}

    /** Returns a record whose outcome is not known to be valid. */
    static WebhookRecord announced(String webhook, String job, Instant now) {
        return new WebhookRecord(
                webhook,
                new JobId(job),
                MARK,
                now,
                now,
                now,
                0,
                false,
                Bytes.wrap(("{\"job\":{\"id\":\"" + job + "\"}}").getBytes(StandardCharsets.UTF_8)),
                null);
    }
}
