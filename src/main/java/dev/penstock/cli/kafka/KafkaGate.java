package dev.penstock.cli.kafka;

import dev.penstock.cli.job.Draft;
import dev.penstock.cli.job.EventListener;
import dev.penstock.cli.job.Gate;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.Rejections;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.cli.job.ValidEvents;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.wire.record.EventHeaders;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * Sends jobs as records, and reads their events from the reply topic. It looks up the end of the reply topic before it
 * writes the record, so that it misses no event of the job.
 */
public final class KafkaGate implements Gate {
    private static final Duration FIRST_EVENT = Duration.ofSeconds(5);

    private final KafkaAccess access;
    private final String jobTopic;
    private final String replyTopic;
    private final @Nullable KafkaProducer<byte[], byte[]> producer;
    /** The feed of all partitions, which many jobs share; null if each job opens a feed of its own partition. */
    private final @Nullable ReplyFeed shared;

    private KafkaGate(
            KafkaAccess access,
            String jobTopic,
            String replyTopic,
            @Nullable KafkaProducer<byte[], byte[]> producer,
            @Nullable ReplyFeed shared) {
        this.access = access;
        this.jobTopic = jobTopic;
        this.replyTopic = replyTopic;
        this.producer = producer;
        this.shared = shared;
    }

    /** @param many whether the client will wait for many jobs at the same time */
    public static KafkaGate forSubmitting(KafkaAccess access, String jobTopic, String replyTopic, boolean many)
            throws Problem {
        try (KafkaConsumer<byte[], byte[]> consumer = access.consumer()) {
            access.partitions(consumer, jobTopic);
        }
        ReplyFeed shared = many ? ReplyFeed.open(access, replyTopic, null, ReplyFeed.From.END) : null;
        return new KafkaGate(access, jobTopic, replyTopic, access.producer(), shared);
    }

    public static KafkaGate forWatching(KafkaAccess access, String replyTopic) {
        return new KafkaGate(access, "", replyTopic, null, null);
    }

    @Override
    public ValidEvent submit(Draft draft, EventListener listener) throws Problem, InterruptedException {
        if (producer == null) {
            throw new IllegalStateException("opened for watching");
        }
        ReplyFeed feed = shared == null ? ReplyFeed.open(access, replyTopic, draft.id(), ReplyFeed.From.END) : shared;
        try {
            BlockingQueue<ReplyFeed.Next> events = feed.subscribe(draft.id());
            byte[] key = EventHeaders.utf8(draft.id().value());
            List<Header> headers = List.of(new RecordHeader(EventHeaders.JOB_ID, key));
            RecordMetadata written = access.write(
                    producer,
                    new ProducerRecord<>(jobTopic, null, key, draft.document().get(), headers));
            RecordPlace place = new RecordPlace(written.topic(), written.partition(), written.offset());
            return follow(draft.id(), events, place, listener);
        } finally {
            feed.unsubscribe(draft.id());
            if (feed != shared) {
                feed.close();
            }
        }
    }

    @Override
    public ValidEvent watch(JobId id, EventListener listener) throws Problem, InterruptedException {
        try (ReplyFeed feed = ReplyFeed.open(access, replyTopic, id, ReplyFeed.From.BEGINNING)) {
            return follow(id, feed.subscribe(id), null, listener);
        }
    }

    /** @param ours the record whose rejection ends the wait; null if this client wrote no record */
    private ValidEvent follow(
            JobId id, BlockingQueue<ReplyFeed.Next> events, @Nullable RecordPlace ours, EventListener listener)
            throws Problem, InterruptedException {
        ValidEvents valid = new ValidEvents();
        Rejections rejections = new Rejections(ours);
        boolean quiet = true;
        while (true) {
            ReplyFeed.Next next = quiet ? events.poll(FIRST_EVENT.toMillis(), TimeUnit.MILLISECONDS) : events.take();
            if (next == null) {
                listener.note("no event of job %s so far; waiting".formatted(id));
                next = events.take();
                quiet = false;
            }
            switch (next) {
                case ReplyFeed.Next.Broken(Problem why) ->
                    throw Problem.brokenOff("%s; the job goes on: penstock watch %s".formatted(why.line(), id));
                case ReplyFeed.Next.CaughtUp() -> rejections.caughtUp();
                case ReplyFeed.Next.Event(EventMark mark, Bytes value) -> {
                    quiet = false;
                    String json = new String(value.get(), StandardCharsets.UTF_8);
                    Optional<ValidEvent> counts = valid.accept(mark, json);
                    if (counts.isPresent()) {
                        rejections.jobIsThere();
                        listener.on(counts.get());
                        if (mark.kind().isOutcome()) {
                            return counts.get();
                        }
                    } else if (mark.kind() == EventMark.Kind.REJECTED) {
                        rejections.seen(json);
                    }
                }
            }
        }
    }

    /** Returns empty, because only the service knows the reason. */
    @Override
    public Optional<String> waitsFor(JobId id) {
        return Optional.empty();
    }

    @Override
    public void close() {
        if (shared != null) {
            shared.close();
        }
        if (producer != null) {
            producer.close(Duration.ofSeconds(5));
        }
    }
}
