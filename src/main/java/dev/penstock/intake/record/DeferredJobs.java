package dev.penstock.intake.record;

import dev.penstock.dispatch.Deferral;
import dev.penstock.job.JobId;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.schedule.Delay;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Inject;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.KafkaException;
import org.jboss.logging.Logger;

/**
 * Writes and parses the records of the topic of deferred jobs. The topic has one partition for each delay. A record
 * is deferred and not released, because a release raises its delivery count, and the broker delivers a released
 * record again at once.
 */
@Singleton
public class DeferredJobs {
    private static final Logger LOG = Logger.getLogger(DeferredJobs.class);

    /** The bytes for the headers that a deferred record has in addition to the headers of its origin. */
    private static final int MORE_HEADERS = 131_072;

    private final String topic;
    private final Producer<byte[], byte[]> producer;
    private final Settings settings;
    private final Clock clock;
    private final MeterRegistry meters;
    private final Counter strange;

    @Inject
    public DeferredJobs(KafkaClients kafka, Settings settings, Clock clock, MeterRegistry meters) {
        this(
                kafka.producer(
                        "penstock-deferred",
                        Map.of(
                                ProducerConfig.COMPRESSION_TYPE_CONFIG,
                                "lz4",
                                ProducerConfig.MAX_REQUEST_SIZE_CONFIG,
                                settings.maxRecord() + MORE_HEADERS)),
                settings,
                clock,
                meters);
    }

    public DeferredJobs(Producer<byte[], byte[]> producer, Settings settings, Clock clock, MeterRegistry meters) {
        topic = settings.topics().deferred();
        this.producer = producer;
        this.settings = settings;
        this.clock = clock;
        this.meters = meters;
        strange = meters.counter("penstock.deferred.strange");
        for (Delay delay : Delay.values()) {
            counter(delay);
        }
    }

    private Counter counter(Delay delay) {
        return meters.counter("penstock.deferred", "delay", delay.name().toLowerCase(Locale.ROOT));
    }

    /**
     * Returns the origin of a record of this topic. A record that Penstock did not write is counted, logged and
     * skipped.
     */
    public Optional<OriginRecord> read(ConsumerRecord<byte[], byte[]> record) {
        Optional<OriginRecord> origin = OriginRecord.ofDeferred(record);
        if (origin.isEmpty()) {
            strange.increment();
            LOG.warnf(
                    "record=%s was not written by Penstock: it is skipped. Only Penstock may have WRITE on %s",
                    OriginRecord.placeOf(record), topic);
        }
        return origin;
    }

    /** Writes a deferred record. The future completes when the record is on the broker. */
    CompletableFuture<?> write(OriginRecord origin, JobId id, Deferral deferral, int handedBack, int failures) {
        try {
            int partitions = producer.partitionsFor(topic).size();
            Optional<OriginRecord.TopicDefaults> from =
                    settings.topic(origin.record().topic()).map(OriginRecord.TopicDefaults::of);
            return KafkaClients.send(
                            producer,
                            origin.toDeferred(
                                    topic, partitions, from, id, deferral, handedBack, failures, clock.instant()))
                    .thenRun(() -> counter(deferral.delay()).increment());
        } catch (KafkaException e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    @PreDestroy
    void close() {
        producer.close(Duration.ofSeconds(5));
    }
}
