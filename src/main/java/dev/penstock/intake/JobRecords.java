package dev.penstock.intake;

import dev.penstock.dispatch.Dispatcher;
import dev.penstock.dispatch.TakenJob;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordStamp;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.Settings;
import dev.penstock.wire.EventHeaders;
import dev.penstock.wire.JobDocument;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.utils.Bytes;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** What becomes of a record that was taken: a run, or a dead letter and a {@code rejected}. */
final class JobRecords {
    private static final Logger LOG = Logger.getLogger(JobRecords.class);

    private final TopicSetup.Found topic;
    private final JobDocument.Defaults defaults;
    private final int maxRecord;
    private final Dispatcher dispatcher;
    private final DeadLetters deadLetters;
    private final ReplyTopic replies;
    private final Recovery recovery;

    JobRecords(
            TopicSetup.Found topic,
            Settings settings,
            Dispatcher dispatcher,
            DeadLetters deadLetters,
            ReplyTopic replies,
            Recovery recovery) {
        this.topic = topic;
        this.dispatcher = dispatcher;
        this.deadLetters = deadLetters;
        this.replies = replies;
        this.recovery = recovery;
        defaults = settings.defaults(topic.topic());
        maxRecord = settings.maxRecord();
    }

    /** Starts the record's run on a virtual thread of its own. */
    void start(Held held) {
        Thread.ofVirtual().name("job-" + held.place()).start(() -> handle(held));
    }

    private void handle(Held held) {
        try {
            switch (parse(held.record())) {
                case JobDocument.Parsed.Valid(PromptJob job) -> {
                    Optional<JobFailure> refused = dispatcher.run(taken(held, job), held);
                    if (refused.isPresent()) {
                        refuse(held, new JobDocument.Parsed.Refused(job.id(), refused.get()));
                    }
                }
                case JobDocument.Parsed.Refused refused -> refuse(held, refused);
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            LOG.errorf(e, "record=%s could not be handled", held.place());
        } finally {
            held.end();
        }
    }

    private TakenJob taken(Held held, PromptJob job) {
        ConsumerRecord<byte[], byte[]> record = held.record();
        return new TakenJob(
                job,
                new RecordStamp(record.timestamp(), held.place()),
                Bytes.wrap(record.value()),
                !job.id().equals(derivedId(record)),
                Bytes.wrap(header(record, "traceparent")));
    }

    private JobId derivedId(ConsumerRecord<byte[], byte[]> record) {
        return JobId.derived(topic.id(), record.partition(), record.offset(), Instant.ofEpochMilli(record.timestamp()));
    }

    private JobDocument.Parsed parse(ConsumerRecord<byte[], byte[]> record) {
        Instant acceptedAt = Instant.ofEpochMilli(record.timestamp());
        JobId derived = derivedId(record);
        if (record.value() != null && record.value().length > maxRecord) {
            return new JobDocument.Parsed.Refused(
                    derived,
                    JobFailure.of(
                            JobFailure.Code.TOO_LARGE,
                            "the job has %d bytes, the limit is %d (penstock.kafka.max-record)"
                                    .formatted(record.value().length, maxRecord)));
        }
        return JobDocument.parse(
                record.value(),
                new JobDocument.Arrival(EventHeaders.text(record.headers(), "job-id"), derived, acceptedAt),
                defaults);
    }

    /** The dead letter is on the broker before the event, and the event before the record is acknowledged. */
    private void refuse(Held held, JobDocument.Parsed.Refused refused) throws InterruptedException {
        try {
            if (!held.mayHaveRun()
                    || !recovery.wasRejected(
                            refused.id(), held.place(), held.record().timestamp())) {
                EventMark mark = new EventMark(EventMark.Kind.REJECTED, 0, "intake", 0);
                JobEvent event = new JobEvent.Rejected(held.place(), refused.failure());
                deadLetters.write(held.record(), refused.failure(), 0).get();
                replies.send(refused.id(), mark, event, header(held.record(), "traceparent"))
                        .get();
            }
            LOG.debugf(
                    "job=%s record=%s rejected: %s",
                    refused.id(), held.place(), refused.failure().message());
            held.acknowledge();
        } catch (ExecutionException | Recovery.LookUpFailed e) {
            LOG.warnf("record=%s could not be dead-lettered, it comes again: %s", held.place(), e.getMessage());
        }
    }

    private static byte @Nullable [] header(ConsumerRecord<byte[], byte[]> record, String name) {
        Header header = record.headers().lastHeader(name);
        return header == null ? null : header.value();
    }
}
