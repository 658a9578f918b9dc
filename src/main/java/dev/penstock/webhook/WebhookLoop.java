package dev.penstock.webhook;

import dev.penstock.kafka.OffsetTracker;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.reply.WebhookRecord;
import dev.penstock.wire.Reason;
import io.micrometer.core.instrument.Counter;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * One member of the group that reads the webhook topic, and its thread. It starts a delivery for each record that is
 * due. A partition pauses at a head that is not due. For each partition it commits the offset below which all records
 * are finished, so a slow receiver holds up no other one.
 *
 * <p>Only the loop's thread uses this class, except for the methods that say so.
 */
final class WebhookLoop {
    private static final Logger LOG = Logger.getLogger(WebhookLoop.class);
    private static final RecordGuard GUARD = RecordGuard.of("webhooks");
    private static final Duration POLL = Duration.ofMillis(100);
    private static final Duration COMMIT_WITHIN = Duration.ofSeconds(5);
    private static final Duration END_WITHIN = Duration.ofSeconds(3);

    private final Setup setup;
    private final ConcurrentLinkedQueue<Taken> finished = new ConcurrentLinkedQueue<>();
    private final Map<TopicPartition, Part> parts = new HashMap<>();
    private volatile int inFlight;
    /** When the loop ends, even if deliveries still run; null while it is not to end. */
    private volatile @Nullable Instant endBy;

    /**
     * @param consumers creates a member of the group, without auto commit
     * @param start starts a delivery; it must not block
     * @param most the largest number of records in flight
     * @param mostBytes the largest size of the records in flight; one record may exceed it
     * @param strange counts the records that Penstock did not write
     */
    record Setup(
            String topic,
            Supplier<Consumer<byte[], byte[]>> consumers,
            java.util.function.Consumer<Taken> start,
            int most,
            long mostBytes,
            Counter strange,
            Clock clock) {}

    /** A record in flight. Its delivery calls {@link WebhookLoop#finished} if it has finished the record. */
    static final class Taken {
        private final TopicPartition place;
        private final Part part;
        private final WebhookRecord record;
        private final ConsumerRecord<byte[], byte[]> raw;

        private Taken(TopicPartition place, Part part, WebhookRecord record, ConsumerRecord<byte[], byte[]> raw) {
            this.place = place;
            this.part = part;
            this.record = record;
            this.raw = raw;
        }

        WebhookRecord record() {
            return record;
        }

        ConsumerRecord<byte[], byte[]> raw() {
            return raw;
        }
    }

    /** A partition that the group assigned to this member. */
    private static final class Part {
        private final OffsetTracker<Taken> offsets;
        private long bytes;
        /** When the head is due. */
        private Instant due = Instant.MIN;

        Part(long position) {
            offsets = new OffsetTracker<>(position);
        }
    }

    WebhookLoop(Setup setup) {
        this.setup = setup;
    }

    /** Reports that a delivery has finished its record. Any thread may call it. */
    void finished(Taken taken) {
        finished.add(taken);
    }

    /** Takes no more records, waits a while for the deliveries that run, and leaves the group. Any thread may call it. */
    void close() {
        endBy = setup.clock().instant().plus(END_WITHIN);
    }

    /** Returns how many records are in flight. Any thread may call it. */
    int inFlight() {
        return inFlight;
    }

    /** Reads the topic until the loop is closed. After an exception it may run again, with another consumer. */
    void run() {
        parts.clear();
        finished.clear();
        try (Consumer<byte[], byte[]> consumer = setup.consumers().get()) {
            consumer.subscribe(List.of(setup.topic()), new Assignments(consumer));
            while (!isOver()) {
                round(consumer);
            }
            settle();
            commitNow(consumer, parts.keySet());
        }
    }

    private boolean isOver() {
        Instant end = endBy;
        return end != null && (inFlight == 0 || !setup.clock().instant().isBefore(end));
    }

    /** Runs one round of the loop. */
    private void round(Consumer<byte[], byte[]> consumer) {
        settle();
        commit(consumer);
        regulate(consumer);
        accept(consumer, GUARD.poll(consumer, POLL));
    }

    private void settle() {
        Taken taken = finished.poll();
        while (taken != null) {
            // another member may own the partition now
            if (parts.get(taken.place) == taken.part) {
                long offset = taken.raw.offset();
                if (taken.part.offsets.isUnfinished(offset, taken)) {
                    taken.part.offsets.finish(offset, taken);
                    taken.part.bytes -= taken.record.event().get().length;
                }
            }
            taken = finished.poll();
        }
        inFlight = parts.values().stream().mapToInt(part -> part.offsets.size()).sum();
    }

    private void regulate(Consumer<byte[], byte[]> consumer) {
        long bytes = parts.values().stream().mapToLong(part -> part.bytes).sum();
        if (endBy != null || inFlight >= setup.most() || bytes >= setup.mostBytes()) {
            consumer.pause(parts.keySet());
            return;
        }
        Instant now = setup.clock().instant();
        consumer.resume(parts.entrySet().stream()
                .filter(part -> !part.getValue().due.isAfter(now))
                .map(Map.Entry::getKey)
                .toList());
    }

    private void accept(Consumer<byte[], byte[]> consumer, ConsumerRecords<byte[], byte[]> records) {
        Instant now = setup.clock().instant();
        records.nextOffsets().forEach((place, next) -> {
            Part part = parts.get(place);
            if (part != null && acceptAll(consumer, place, part, records.records(place), now)) {
                part.offsets.reach(next.offset());
            }
        });
    }

    /** @return false if the partition pauses at a record that is not due */
    private boolean acceptAll(
            Consumer<byte[], byte[]> consumer,
            TopicPartition place,
            Part part,
            List<ConsumerRecord<byte[], byte[]>> records,
            Instant now) {
        for (ConsumerRecord<byte[], byte[]> raw : records) {
            boolean[] waits = {false};
            if (!GUARD.read(raw, () -> waits[0] = !accept(place, part, raw, now))) {
                part.offsets.skip(raw.offset());
            }
            if (waits[0]) {
                part.offsets.reach(raw.offset());
                consumer.seek(place, raw.offset());
                consumer.pause(List.of(place));
                return false;
            }
        }
        return true;
    }

    /** @return false if the record is not due */
    private boolean accept(TopicPartition place, Part part, ConsumerRecord<byte[], byte[]> raw, Instant now) {
        if (part.offsets.isTaken(raw.offset())) {
            return true;
        }
        Optional<WebhookRecord> read = WebhookRecord.of(raw);
        if (read.isEmpty()) {
            setup.strange().increment();
            LOG.warnf(
                    "record=%s@%d was not written by Penstock: it is skipped. Only Penstock may have WRITE on %s",
                    place, raw.offset(), setup.topic());
            part.offsets.skip(raw.offset());
            return true;
        }
        WebhookRecord record = read.get();
        if (record.dueAt().isAfter(now)) {
            part.due = record.dueAt();
            return false;
        }
        Taken taken = new Taken(place, part, record, raw);
        part.offsets.take(raw.offset(), taken);
        part.bytes += record.event().get().length;
        setup.start().accept(taken);
        return true;
    }

    private void commit(Consumer<byte[], byte[]> consumer) {
        Map<TopicPartition, OffsetAndMetadata> due = new HashMap<>();
        parts.forEach((place, part) -> part.offsets.due().ifPresent(offset -> {
            due.put(place, new OffsetAndMetadata(offset));
            part.offsets.committed(offset);
        }));
        if (!due.isEmpty()) {
            consumer.commitAsync(due, (_, failure) -> {
                if (failure != null) {
                    LOG.debugf("topic=%s a commit failed, trying again: %s", setup.topic(), failure);
                    due.keySet().forEach(place -> {
                        Part part = parts.get(place);
                        if (part != null) {
                            part.offsets.commitFailed();
                        }
                    });
                }
            });
        }
    }

    private void commitNow(Consumer<byte[], byte[]> consumer, Collection<TopicPartition> places) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (TopicPartition place : places) {
            Part part = parts.get(place);
            if (part != null) {
                offsets.put(place, new OffsetAndMetadata(part.offsets.committable()));
            }
        }
        try {
            consumer.commitSync(offsets, COMMIT_WITHIN);
        } catch (KafkaException e) {
            LOG.warnf("topic=%s a commit failed, the records come again: %s", setup.topic(), Reason.of(e));
        }
    }

    /** The consumer calls these methods on the loop's thread. */
    private final class Assignments implements ConsumerRebalanceListener {
        private final Consumer<byte[], byte[]> consumer;

        Assignments(Consumer<byte[], byte[]> consumer) {
            this.consumer = consumer;
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> places) {
            places.forEach(place -> parts.put(place, new Part(consumer.position(place))));
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> places) {
            settle();
            commitNow(consumer, places);
            places.forEach(parts::remove);
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> places) {
            places.forEach(parts::remove);
        }
    }
}
