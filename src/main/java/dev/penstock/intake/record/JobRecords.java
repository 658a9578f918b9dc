package dev.penstock.intake.record;

import dev.penstock.dispatch.Deferral;
import dev.penstock.dispatch.Dispatcher;
import dev.penstock.dispatch.JobTrace;
import dev.penstock.dispatch.Quarantine;
import dev.penstock.dispatch.TakenJob;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.Conditions;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Reason;
import dev.penstock.wire.document.JobDocument;
import dev.penstock.wire.record.EventHeaders;
import dev.penstock.wire.record.RecordSize;
import dev.penstock.wire.record.TraceHeader;
import io.opentelemetry.api.trace.Tracer;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.utils.Bytes;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Turns a record into a run, or into a dead letter and a {@code rejected} event. */
public final class JobRecords {
    private static final Logger LOG = Logger.getLogger(JobRecords.class);
    private static final Settings.JobTopic UNKNOWN =
            new Settings.JobTopic("", Priority.NORMAL, JobDocument.DEFAULT_TENANT, 1);
    private static final UUID NO_TOPIC = new UUID(0, 0);
    /**
     * The largest number of tries for a record, if each try ends with an unexpected exception. Normally the job ends
     * as poison before that. After the last try, Penstock writes only a dead letter.
     */
    private static final int MOST_BROKEN = Quarantine.POISON + 2;

    private static final JobFailure UNHANDLED = JobFailure.of(
            JobFailure.Code.POISON,
            "an unexpected exception ended each of %d tries to run or to refuse the record: the log has it"
                    .formatted(MOST_BROKEN));
    private static final RecordGuard GUARD = RecordGuard.of("intake");

    /**
     * The length of the longest trace header that is kept. Version 00 of Trace Context has 55 characters, but a later
     * version may have more.
     */
    private static final int LONGEST_TRACEPARENT = 256;

    /** The ids of the topics. A topic that is deleted and created again gets another id. */
    private final Map<String, UUID> topicIds;

    private final Settings settings;
    private final Dispatcher dispatcher;
    private final ReplyTopic replies;
    private final Recovery recovery;
    private final InFlightRecords inFlight;
    private final LeftValues left;
    private final Tracer tracer;

    public JobRecords(
            Map<String, UUID> topicIds,
            Settings settings,
            Dispatcher dispatcher,
            ReplyTopic replies,
            Recovery recovery,
            InFlightRecords inFlight,
            LeftValues left,
            Tracer tracer) {
        this.topicIds = topicIds;
        this.settings = settings;
        this.dispatcher = dispatcher;
        this.replies = replies;
        this.recovery = recovery;
        this.inFlight = inFlight;
        this.left = left;
        this.tracer = tracer;
    }

    /** Starts the record's run on a virtual thread of its own. */
    public void start(RecordDelivery delivery) {
        inFlight.take(delivery);
        Thread.ofVirtual().name("job-" + delivery.place()).start(() -> handle(delivery));
    }

    private void handle(RecordDelivery delivery) {
        try (MemoryBudget.Reservation _ = inFlight.admit(delivery);
                JobTrace trace = trace(delivery)) {
            if (!load(delivery)) {
                return;
            }
            switch (read(delivery)) {
                case JobDocument.Parsed.Valid(PromptJob job) -> {
                    delivery.named(job.id());
                    trace.named(job.id());
                    trace.valid(job.tenant(), job.task().wireName());
                    Optional<JobFailure> refused = dispatcher.run(taken(delivery, job, trace), delivery);
                    if (refused.isPresent()) {
                        refuse(delivery, new JobDocument.Parsed.Refused(job.id(), refused.get()), trace);
                    }
                }
                case JobDocument.Parsed.Refused refused -> refuse(delivery, refused, trace);
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException | StackOverflowError e) {
            GUARD.failed(delivery.record(), e);
            LOG.errorf(
                    e,
                    "record=%s could not be handled; after %d times it is a dead letter",
                    delivery.place(),
                    MOST_BROKEN);
            broke(delivery);
        } finally {
            inFlight.release(delivery);
            delivery.end();
        }
    }

    /**
     * Handles a record that could neither run nor be refused. After the last try, the intake writes only a dead letter.
     * If the ledger knows the job, the audit ends it as lost.
     */
    private void broke(RecordDelivery delivery) {
        if (delivery.isGone()) {
            return;
        }
        try {
            if (!delivery.isNamed()) {
                delivery.named(derivedId(delivery.record()));
            }
            if (delivery.brokenRuns() < MOST_BROKEN) {
                delivery.deferBroken(Deferral.broken(delivery.brokenRuns() + 1));
            } else if (delivery.deadLetter(UNHANDLED, 0)) {
                delivery.acknowledge();
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            LOG.warnf("record=%s could not be deferred, it comes again: %s", delivery.place(), Reason.of(e));
        }
    }

    /**
     * Reads the value that the poll left out because memory was short. The run has reserved memory for it in the
     * meantime.
     *
     * @return false if the record was lost in the meantime
     */
    private boolean load(RecordDelivery delivery) throws InterruptedException {
        while (RecordSize.isLeft(delivery.record(), settings.maxRecord())) {
            try {
                byte[] value = left.read(delivery.record());
                if (value == null) {
                    // the topic has dropped the record: refuse it like a record that cannot be read
                    delivery.unread();
                    return true;
                }
                delivery.load(value);
                return true;
            } catch (KafkaException e) {
                LOG.warnf("record=%s its value could not be read, trying again: %s", delivery.place(), Reason.of(e));
            }
            if (!delivery.renew()) {
                return false;
            }
            Thread.sleep(RecordDelivery.AFTER_FAILURE);
        }
        return true;
    }

    /**
     * Parses the record. A record that cannot be read is refused, because every replica would fail to read it at every
     * delivery.
     */
    private JobDocument.Parsed read(RecordDelivery delivery) {
        AtomicReference<JobDocument.@Nullable Parsed> parsed = new AtomicReference<>();
        if (!delivery.isUnread() && GUARD.read(delivery.record(), () -> parsed.set(parse(delivery)))) {
            JobDocument.Parsed known = parsed.get();
            if (known != null) {
                return known;
            }
        }
        String id = String.valueOf(EventHeaders.text(delivery.record().headers(), EventHeaders.JOB_ID));
        return new JobDocument.Parsed.Refused(
                JobId.isValid(id) ? new JobId(id) : derivedId(delivery.record()),
                JobFailure.of(JobFailure.Code.INVALID_REQUEST, "the record cannot be read as a job"));
    }

    private JobTrace trace(RecordDelivery delivery) {
        ConsumerRecord<byte[], byte[]> record = delivery.record();
        String group =
                delivery.origin().deferred() == null ? settings.groups().of(record.topic()) : settings.deferredGroup();
        int bytes = Math.max(0, record.serializedValueSize());
        byte[] traceparent = header(record, TraceHeader.NAME);
        // leave out a longer header, because each event of the job would contain it
        boolean carried = traceparent != null && traceparent.length <= LONGEST_TRACEPARENT;
        AtomicReference<@Nullable JobTrace> trace = new AtomicReference<>();
        GUARD.read(
                record,
                () -> trace.set(JobTrace.begin(tracer, delivery.place(), group, bytes, carried ? traceparent : null)));
        JobTrace begun = trace.get();
        // if the producer's trace header is invalid, the job gets a new trace
        return begun == null ? JobTrace.begin(tracer, delivery.place(), group, bytes, null) : begun;
    }

    /** Returns whether to receive further records of this topic: a node takes jobs now, and there is memory. */
    public boolean isOpen(String topic) {
        return inFlight.hasRoom(topic)
                && dispatcher.isOpen(topic)
                && settings.topic(topic)
                        .filter(known -> known.hasOneTenant() && dispatcher.tenantRoom(known.tenant()) == 0)
                        .isEmpty();
    }

    private TakenJob taken(RecordDelivery delivery, PromptJob job, JobTrace trace) {
        ConsumerRecord<byte[], byte[]> record = delivery.record();
        return new TakenJob(
                job,
                new RecordStamp(record.timestamp(), delivery.origin().place()),
                Bytes.wrap(record.value()),
                !job.id().equals(derivedId(record)),
                delivery.origin().deferred(),
                Conditions.Source.REST.wireName().equals(EventHeaders.text(record.headers(), EventHeaders.SOURCE))
                        ? Conditions.Source.REST
                        : Conditions.Source.KAFKA,
                Bytes.wrap(trace.traceparent()));
    }

    private JobId derivedId(ConsumerRecord<byte[], byte[]> record) {
        UUID topicId = topicIds.getOrDefault(record.topic(), NO_TOPIC);
        return JobId.derived(topicId, record.partition(), record.offset(), Instant.ofEpochMilli(record.timestamp()));
    }

    private JobDocument.Parsed parse(RecordDelivery delivery) {
        ConsumerRecord<byte[], byte[]> record = delivery.record();
        Instant acceptedAt = Instant.ofEpochMilli(record.timestamp());
        // a deferred record contains its job id, because this replica may not know the topic of its origin
        JobId named = delivery.origin().id();
        JobId derived = named == null ? derivedId(record) : named;
        var arrival =
                new JobDocument.Arrival(EventHeaders.text(record.headers(), EventHeaders.JOB_ID), derived, acceptedAt);
        Optional<String> tooLarge = RecordSize.tooLarge(record, settings.maxRecord());
        if (tooLarge.isPresent()) {
            return new JobDocument.Parsed.Refused(
                    JobDocument.idOfTooLarge(record.value(), arrival),
                    JobFailure.of(JobFailure.Code.TOO_LARGE, tooLarge.get()));
        }
        return JobDocument.parse(record.value(), arrival, settings.defaults(topicOf(delivery)));
    }

    /**
     * Returns the settings of the record's topic. Another replica, whose configuration is newer or older, may have
     * deferred the record. Then this replica may lack the topic of the origin. So the deferred record contains the
     * settings of that topic.
     */
    private Settings.JobTopic topicOf(RecordDelivery delivery) {
        String name = delivery.record().topic();
        OriginRecord.TopicDefaults carried = delivery.origin().topic();
        return settings.topic(name)
                .orElse(
                        carried == null
                                ? UNKNOWN
                                : new Settings.JobTopic(name, carried.priority(), carried.tenant(), UNKNOWN.slots()));
    }

    /**
     * Refuses a record. First it writes the dead letter, then the event. It acknowledges the record when both are on
     * the broker.
     */
    private void refuse(RecordDelivery delivery, JobDocument.Parsed.Refused refused, JobTrace trace)
            throws InterruptedException {
        delivery.named(refused.id());
        trace.named(refused.id());
        trace.refused(refused.failure());
        AtomicReference<@Nullable RecordPlace> letter = new AtomicReference<>();
        // do not give the record back: the broker would deliver it again at once, and drop it after a few deliveries
        while (!isRejected(delivery, refused, trace, letter) && delivery.renew()) {
            Thread.sleep(RecordDelivery.AFTER_FAILURE);
        }
    }

    /** @param letter the place of the dead letter; this method sets it when the dead letter is on the broker */
    private boolean isRejected(
            RecordDelivery delivery,
            JobDocument.Parsed.Refused refused,
            JobTrace trace,
            AtomicReference<@Nullable RecordPlace> letter)
            throws InterruptedException {
        try {
            if (!delivery.mayHaveRun()
                    || !recovery.wasRejected(
                            refused.id(),
                            delivery.origin().place(),
                            delivery.record().timestamp())) {
                EventMark mark = new EventMark(EventMark.Kind.REJECTED, 0, EventMark.newRun(), 0);
                RecordPlace lies = letter.get() == null ? delivery.letter(refused.failure(), 0) : letter.get();
                if (lies == null) {
                    return false;
                }
                letter.set(lies);
                JobEvent event = new JobEvent.Rejected(delivery.origin().place(), lies, refused.failure());
                replies.send(refused.id(), mark, event, trace.traceparent()).get();
            }
            LOG.debugf(
                    "job=%s record=%s rejected: %s",
                    refused.id(), delivery.place(), refused.failure().message());
            delivery.acknowledge();
            return true;
        } catch (ExecutionException | Recovery.LookUpFailed e) {
            LOG.warnf("record=%s could not be rejected, trying again: %s", delivery.place(), Reason.of(e));
            return false;
        }
    }

    private static byte @Nullable [] header(ConsumerRecord<byte[], byte[]> record, String name) {
        Header header = record.headers().lastHeader(name);
        return header == null ? null : header.value();
    }
}
