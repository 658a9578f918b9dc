package dev.penstock.reply;

import dev.penstock.job.JobEvent;
import dev.penstock.job.PromptJob;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.settings.start.BrokerWatch;
import dev.penstock.wire.Reason;
import dev.penstock.wire.document.UsageDocument;
import dev.penstock.wire.record.EventHeaders;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.jboss.logging.Logger;

/**
 * Writes a usage record for each direct call. A call never fails for its usage record: while Kafka is away, the records
 * are lost. Thread-safe.
 */
@Singleton
public class UsageTopic {
    private static final Logger LOG = Logger.getLogger(UsageTopic.class);
    private static final Duration DELIVERY_TIMEOUT = Duration.ofSeconds(30);
    /** How long a call that has ended may wait for the first contact with Kafka. */
    private static final Duration FIRST_CONTACT = Duration.ofSeconds(1);

    private static final int LINGER_MILLIS = 50;
    private static final long BUFFER = 1 << 20;

    private final String name;
    private final Producer<byte[], byte[]> producer;
    private final BooleanSupplier away;
    private final Clock clock;
    /** The records lost since the last one that was written. */
    private final AtomicLong lost = new AtomicLong();

    @Inject
    UsageTopic(KafkaClients kafka, Settings settings, BrokerWatch broker, Clock clock) {
        this(settings.topics().usage(), producer(kafka), () -> broker.away() != null, clock);
    }

    /** @param away tests whether Kafka is known to be away */
    UsageTopic(String name, Producer<byte[], byte[]> producer, BooleanSupplier away, Clock clock) {
        this.name = name;
        this.producer = producer;
        this.away = away;
        this.clock = clock;
    }

    private static Producer<byte[], byte[]> producer(KafkaClients kafka) {
        return kafka.producer(
                "penstock-usage",
                Map.of(
                        ProducerConfig.LINGER_MS_CONFIG,
                        LINGER_MILLIS,
                        ProducerConfig.BUFFER_MEMORY_CONFIG,
                        BUFFER,
                        ProducerConfig.MAX_BLOCK_MS_CONFIG,
                        FIRST_CONTACT.toMillis(),
                        ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG,
                        (int) DELIVERY_TIMEOUT.toMillis() / 2,
                        ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG,
                        (int) DELIVERY_TIMEOUT.toMillis()));
    }

    /** Writes the record of a call that has ended. Does not wait until Kafka has it. */
    public void ended(PromptJob job, JobEvent outcome) {
        if (away.getAsBoolean()) {
            lost("Kafka is away");
            return;
        }
        byte[] key = EventHeaders.utf8(job.tenant());
        byte[] value = UsageDocument.write(job, outcome, clock.instant());
        try {
            var _ = KafkaClients.send(producer, new ProducerRecord<>(name, key, value))
                    .whenComplete((_, failure) -> {
                        if (failure == null) {
                            written();
                        } else {
                            lost(Reason.of(failure));
                        }
                    });
        } catch (KafkaException | IllegalStateException e) {
            // also after the producer was closed
            lost(Reason.of(e));
        }
    }

    private void lost(String why) {
        if (lost.getAndIncrement() == 0) {
            LOG.warnf("topic=%s the usage records of direct calls are lost: %s", name, why);
        }
    }

    private void written() {
        long before = lost.get() == 0 ? 0 : lost.getAndSet(0);
        if (before > 0) {
            LOG.warnf("topic=%s usage records are written again; %d were lost", name, before);
        }
    }

    @PreDestroy
    void close() {
        producer.close(Duration.ofSeconds(5));
    }
}
