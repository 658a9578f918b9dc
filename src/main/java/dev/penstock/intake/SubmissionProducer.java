package dev.penstock.intake;

import dev.penstock.dispatch.Traces;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Conditions;
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

/** Checks the jobs that arrive over REST, and writes them as records like those of any producer. */
@Singleton
public final class SubmissionProducer {
    private static final Logger LOG = Logger.getLogger(SubmissionProducer.class);

    /**
     * How long a submission waits for the broker's confirmation. After this time the client gets 503, although the
     * broker may have accepted the job.
     */
    private static final Duration DELIVERY_TIMEOUT = Duration.ofSeconds(10);

    private static final String TENANT = "default";

    private final Settings settings;
    private final Clock clock;
    private final Tracer tracer;
    private final BrokerWatch broker;
    private final KafkaClients kafka;
    private final KafkaProducer<byte[], byte[]> producer;
    private final RandomGenerator random = new SecureRandom();
    private final AtomicInteger next = new AtomicInteger();

    public SubmissionProducer(KafkaClients kafka, Settings settings, Clock clock, Traces traces, BrokerWatch broker) {
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

    /** The result of a check: a document that may be written, or the reason why it may not be written. */
    public sealed interface Checked {
        /**
         * @param idWasGiven whether the client gave the id; if so, the reply topic may already have events of the job
         */
        record Fit(PromptJob job, Bytes document, boolean idWasGiven, Settings.JobTopic topic) implements Checked {}

        record Unfit(JobFailure failure) implements Checked {}
    }

    /**
     * Returns the id for a submission that has none of its own.
     *
     * @param idempotencyKey the key from the client; the same key gives the same id; null if the client sent none
     */
    public JobId id(@Nullable String idempotencyKey) {
        return idempotencyKey == null
                ? JobId.fresh(clock.instant(), random)
                : JobId.fromIdempotencyKey(TENANT, idempotencyKey);
    }

    /**
     * Checks a document by the same rules as the intake.
     *
     * @param idempotencyKey the key from the client; the same key gives the same job id; null if the client sent none
     */
    public Checked check(byte[] document, @Nullable String idempotencyKey) {
        return check(document, id(idempotencyKey), idempotencyKey != null);
    }

    /**
     * Checks a document by the same rules as the intake.
     *
     * @param id the id of the job if the document has none
     * @param mayComeAgain whether another submission may have the same id
     */
    public Checked check(byte[] document, JobId id, boolean mayComeAgain) {
        if (document.length > settings.maxRecord()) {
            return tooLarge(document.length);
        }
        JobDocument.Defaults defaults = settings.defaults(new Settings.JobTopic("", Priority.NORMAL, TENANT, 1));
        return switch (JobDocument.parse(document, new JobDocument.Arrival(null, id, clock.instant()), defaults)) {
            case JobDocument.Parsed.Refused refused -> new Checked.Unfit(refused.failure());
            case JobDocument.Parsed.Valid(PromptJob job) -> {
                boolean given = mayComeAgain || !job.id().equals(id);
                Optional<Settings.JobTopic> topic = settings.topicFor(job.priority(), job.tenant());
                yield topic.isPresent()
                        ? new Checked.Fit(job, Bytes.wrap(document), given, topic.get())
                        : new Checked.Unfit(noTopic(job));
            }
        };
    }

    /**
     * Checks a document that is to be written to its topic again. If Penstock has no such topic any more, the document
     * goes to the topic of a new submission.
     *
     * @param id the id of the job; the same request always gives the same id
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

    /** Returns the refusal of a document of this size. The document itself is not needed. */
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
     * Writes the record; each record goes to the next partition in turn. The future completes when the broker has the
     * record, or fails with a KafkaException.
     *
     * @param traceparent the trace header of the caller; null if there is none
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

    /** Reports that a record was not sent, because Kafka is known to be unavailable. */
    public static final class NotSent extends KafkaException {
        NotSent(Instant since) {
            super("Kafka has not answered since %s: nothing was sent, send it again later".formatted(since));
        }
    }

    /** Returns why nothing can be submitted now; empty unless Kafka is known to be unavailable. */
    public Optional<JobFailure> away() {
        return Optional.ofNullable(broker.away())
                .map(away -> JobFailure.of(JobFailure.Code.BROKER_UNAVAILABLE, Reason.of(new NotSent(away.since()))));
    }

    /** Returns why the broker did not take a job, as a failure for the client. */
    public JobFailure refused(Throwable failure, Checked.Fit fit) {
        Throwable cause = KafkaClients.cause(failure);
        if (cause instanceof NotSent) {
            return JobFailure.of(JobFailure.Code.BROKER_UNAVAILABLE, Reason.of(cause));
        }
        String topic = fit.topic().name();
        if (KafkaClients.isTooLarge(cause)) {
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
            Headers headers = new RecordHeaders()
                    .add(EventHeaders.JOB_ID, id)
                    .add(EventHeaders.SOURCE, EventHeaders.utf8(Conditions.Source.REST.wireName()));
            if (traceparent != null) {
                headers.add(TraceHeader.NAME, EventHeaders.utf8(traceparent));
            }
            return KafkaClients.send(
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
