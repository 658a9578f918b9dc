package dev.penstock.reply;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.utils.Bytes;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Writes the outcomes that are to be posted to webhooks. The invariant: a webhook record is on the broker before its
 * outcome is sent to the reply topic. So a crash between the two loses no post. The reader of the topic posts an outcome
 * only if it is the valid one of its job.
 */
@Singleton
public class WebhookTopic {
    private static final Logger LOG = Logger.getLogger(WebhookTopic.class);
    /** The bytes for the headers that a webhook record has in addition to those of the event. */
    private static final int MORE_HEADERS = 131_072;

    private static final CompletableFuture<@Nullable Void> NOTHING_TO_WRITE = CompletableFuture.completedFuture(null);

    private final String topic;
    private final Set<String> names;
    /** Null if no webhook is configured. Then the topic may not exist. */
    private final @Nullable Producer<byte[], byte[]> producer;

    private final Clock clock;

    /** Announces the outcomes of one job before they are published. */
    @FunctionalInterface
    public interface Announcement {
        /** The announcement of a job without a webhook: it does nothing. */
        Announcement NONE = (_, _) -> NOTHING_TO_WRITE;

        /**
         * @param outcome the outcome as JSON
         * @return a future that completes when the outcome may be published
         */
        CompletableFuture<?> before(EventMark mark, byte[] outcome);
    }

    @Inject
    public WebhookTopic(KafkaClients kafka, Settings settings, Clock clock) {
        this(
                settings,
                settings.webhooks().isEmpty()
                        ? null
                        : kafka.producer(
                                "penstock-webhooks",
                                Map.of(
                                        ProducerConfig.COMPRESSION_TYPE_CONFIG,
                                        "lz4",
                                        ProducerConfig.LINGER_MS_CONFIG,
                                        0,
                                        ProducerConfig.MAX_REQUEST_SIZE_CONFIG,
                                        settings.maxRecord() + MORE_HEADERS)),
                clock);
    }

    /** @param producer null if no webhook is configured */
    public WebhookTopic(Settings settings, @Nullable Producer<byte[], byte[]> producer, Clock clock) {
        topic = settings.topics().webhooks();
        names = settings.webhooks().keySet();
        this.producer = producer;
        this.clock = clock;
    }

    /** Returns whether this replica has the webhook. */
    public boolean has(String webhook) {
        return names.contains(webhook);
    }

    /**
     * Returns the announcement of a job's outcomes.
     *
     * @param webhook the name of the job's webhook; null if it has none
     * @param acceptedAt the time of the job's record
     * @param traceparent the trace of the job's producer; null if there is none
     */
    public Announcement of(JobId id, @Nullable String webhook, Instant acceptedAt, byte @Nullable [] traceparent) {
        if (webhook == null) {
            return Announcement.NONE;
        }
        return (mark, outcome) -> {
            Instant now = clock.instant();
            return write(
                    new WebhookRecord(
                            webhook,
                            id,
                            mark,
                            acceptedAt,
                            now,
                            now,
                            0,
                            false,
                            Bytes.wrap(outcome),
                            traceparent == null ? null : Bytes.wrap(traceparent)),
                    WebhookDelay.NONE);
        };
    }

    /** Writes a record. The future completes when the record is on the broker. */
    public CompletableFuture<?> write(WebhookRecord record, WebhookDelay delay) {
        Producer<byte[], byte[]> writing = producer;
        if (writing == null) {
            // an operator has removed all webhooks while the job was open
            LOG.warnf(
                    "job=%s its outcome is not posted: no webhook is configured, and the job names '%s'",
                    record.id(), record.webhook());
            return NOTHING_TO_WRITE;
        }
        try {
            int partitions = writing.partitionsFor(topic).size();
            return KafkaClients.send(writing, record.toRecord(topic, delay.partition(partitions)));
        } catch (KafkaException e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    @PreDestroy
    void close() {
        if (producer != null) {
            producer.close(Duration.ofSeconds(5));
        }
    }
}
