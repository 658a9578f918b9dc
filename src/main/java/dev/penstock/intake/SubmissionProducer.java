package dev.penstock.intake;

import dev.penstock.dispatch.Traces;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import dev.penstock.settings.start.BrokerWatch;
import dev.penstock.wire.Reason;
import dev.penstock.wire.document.JobDocument;
import dev.penstock.wire.record.EventHeaders;
import dev.penstock.wire.record.TraceHeader;
import io.opentelemetry.api.trace.Tracer;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Singleton;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.utils.Bytes;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Checks the jobs that come over REST, and writes them as records of a job topic. */
@Singleton
public final class SubmissionProducer {
    private static final Logger LOG = Logger.getLogger(SubmissionProducer.class);

    /**
     * A submission that the broker has not confirmed by then is answered 503; the broker may have accepted it all the
     * same.
     */
    private static final Duration DELIVERY_TIMEOUT = Duration.ofSeconds(10);

    private static final String TENANT = "default";

    private final Settings settings;
    private final Clock clock;
    private final Tracer tracer;
    private final BrokerWatch broker;
    private final KafkaSettings kafka;
    private final KafkaProducer<byte[], byte[]> producer;
    private final RandomGenerator random = new SecureRandom();
    private final AtomicInteger next = new AtomicInteger();

    public SubmissionProducer(KafkaSettings kafka, Settings settings, Clock clock, Traces traces, BrokerWatch broker) {
        this.kafka = kafka;
        this.broker = broker;
        this.settings = settings;
        this.clock = clock;
        tracer = traces.tracer();
        producer = kafka.producer(
                "penstock-submissions",
                Map.of(
                        ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG,
                        (int) DELIVERY_TIMEOUT.toMillis(),
                        ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG,
                        (int) DELIVERY_TIMEOUT.toMillis() / 2,
                        ProducerConfig.LINGER_MS_CONFIG,
                        0,
                        ProducerConfig.MAX_BLOCK_MS_CONFIG,
                        (int) DELIVERY_TIMEOUT.toMillis()));
    }

    /** A document that may be written, or the reason why not. */
    public sealed interface Checked {
        /** @param idWasGiven by the client: events of it may be there already */
        record Fit(PromptJob job, Bytes document, boolean idWasGiven, Settings.JobTopic topic) implements Checked {}

        record Unfit(JobFailure failure) implements Checked {}
    }

    /**
     * Checks a document as the worker does.
     *
     * @param idempotencyKey the same key gives the same job; null: none was sent
     */
    public Checked check(byte[] document, @Nullable String idempotencyKey) {
        if (document.length > settings.maxRecord()) {
            return tooLarge(document.length);
        }
        Instant now = clock.instant();
        JobId id = idempotencyKey == null ? JobId.fresh(now, random) : JobId.fromIdempotencyKey(TENANT, idempotencyKey);
        JobDocument.Defaults defaults = settings.defaults(new Settings.JobTopic("", Priority.NORMAL, TENANT, 1));
        return switch (JobDocument.parse(document, new JobDocument.Arrival(null, id, now), defaults)) {
            case JobDocument.Parsed.Refused refused -> new Checked.Unfit(refused.failure());
            case JobDocument.Parsed.Valid(PromptJob job) -> {
                boolean given = idempotencyKey != null || !job.id().equals(id);
                Optional<Settings.JobTopic> topic = settings.topicFor(job.priority(), job.tenant());
                yield topic.isPresent()
                        ? new Checked.Fit(job, Bytes.wrap(document), given, topic.get())
                        : new Checked.Unfit(noTopic(job));
            }
        };
    }

    /**
     * Checks a document that is to go back to its topic. Where Penstock has no such topic any more, it goes to the one
     * of a submission.
     *
     * @param id the id of its job: the same for the same request
     */
    public Checked checkAgain(byte[] document, String from, JobId id) {
        Optional<Settings.JobTopic> topic = settings.topic(from);
        if (topic.isEmpty()) {
            return check(document, id.value());
        }
        if (document.length > settings.maxRecord()) {
            return tooLarge(document.length);
        }
        var arrival = new JobDocument.Arrival(null, id, clock.instant());
        return switch (JobDocument.parse(document, arrival, settings.defaults(topic.get()))) {
            case JobDocument.Parsed.Refused refused -> new Checked.Unfit(refused.failure());
            case JobDocument.Parsed.Valid(PromptJob job) ->
                new Checked.Fit(job, Bytes.wrap(document), true, topic.get());
        };
    }

    /** A document of so many bytes, which need not be read. */
    public Checked tooLarge(long bytes) {
        return new Checked.Unfit(JobFailure.of(
                JobFailure.Code.TOO_LARGE,
                "the job has %d bytes, the limit is %d (penstock.kafka.max-record)"
                        .formatted(bytes, settings.maxRecord())));
    }

    private JobFailure noTopic(PromptJob job) {
        return JobFailure.invalid(
                "job.priority",
                "no topic takes priority '%s'. Topics: %s"
                        .formatted(
                                job.priority().wireName(),
                                settings.intake().topics().stream()
                                        .map(topic -> topic.name() + " ("
                                                + topic.priority().wireName() + ")")
                                        .collect(Collectors.joining(", "))));
    }

    /**
     * Writes the record; partitions take turns. Completes when the broker has it; fails with a KafkaException.
     *
     * @param traceparent the header of the caller; null where there is none
     */
    public CompletableFuture<RecordMetadata> write(Checked.Fit fit, @Nullable String traceparent) {
        String topic = fit.topic().name();
        SubmissionTrace trace = new SubmissionTrace(tracer, topic, fit.job(), traceparent);
        return write(fit, topic, trace.traceparent()).whenComplete((record, failure) -> {
            if (failure == null) {
                trace.written(record);
            } else {
                trace.failed(failure);
            }
        });
    }

    /** Kafka is known to be away: the record was not sent. */
    public static final class NotSent extends KafkaException {
        NotSent(Instant since) {
            super("Kafka has not answered since %s: nothing was sent, send it again later".formatted(since));
        }
    }

    /** Why nothing can be submitted now; empty: Kafka answers, as far as is known. */
    public Optional<JobFailure> away() {
        return Optional.ofNullable(broker.away())
                .map(away -> JobFailure.of(JobFailure.Code.BROKER_UNAVAILABLE, Reason.of(new NotSent(away.since()))));
    }

    /** Why the broker did not take a job, for its submitter. */
    public JobFailure refused(Throwable failure, Checked.Fit fit) {
        Throwable cause = KafkaSettings.cause(failure);
        if (cause instanceof NotSent) {
            return JobFailure.of(JobFailure.Code.BROKER_UNAVAILABLE, Reason.of(cause));
        }
        String topic = fit.topic().name();
        if (KafkaSettings.isTooLarge(cause)) {
            String limit = kafka.topicConfig(topic, TopicConfig.MAX_MESSAGE_BYTES_CONFIG)
                    .map(value -> ", which is %s".formatted(value))
                    .orElse("");
            return JobFailure.of(
                    JobFailure.Code.TOO_LARGE,
                    "the job has %d bytes, more than topic %s takes: its limit is max.message.bytes%s"
                            .formatted(fit.document().get().length, topic, limit));
        }
        LOG.warnf("topic=%s Kafka did not take a job: %s", topic, Reason.of(cause));
        return JobFailure.of(
                JobFailure.Code.BROKER_UNAVAILABLE,
                "Kafka did not confirm in time: it may have accepted the job all the same; the same id may be sent again");
    }

    private CompletableFuture<RecordMetadata> write(Checked.Fit fit, String topic, @Nullable String traceparent) {
        BrokerWatch.Away away = broker.away();
        if (away != null) {
            return CompletableFuture.failedFuture(new NotSent(away.since()));
        }
        try {
            int partitions = producer.partitionsFor(topic).size();
            int partition = Math.floorMod(next.getAndIncrement(), partitions);
            byte[] id = fit.job().id().value().getBytes(StandardCharsets.UTF_8);
            Headers headers = new RecordHeaders().add(EventHeaders.JOB_ID, id);
            if (traceparent != null) {
                headers.add(TraceHeader.NAME, EventHeaders.utf8(traceparent));
            }
            return KafkaSettings.send(
                    producer,
                    new ProducerRecord<>(topic, partition, id, fit.document().get(), headers));
        } catch (KafkaException e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    @PreDestroy
    void close() {
        producer.close(Duration.ofSeconds(5));
    }
}
