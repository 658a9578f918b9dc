package dev.penstock.testkit;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.EventMark;
import dev.penstock.job.Reading;
import dev.penstock.wire.Json;
import dev.penstock.wire.record.EventHeaders;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A plain consumer of a topic of events, from its beginning. It keeps all events by job, and applies the reading
 * rule.
 */
public final class ReplyLog implements AutoCloseable {
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Thread thread;
    private volatile boolean closed;

    /* Guarded by this. */
    private final Map<String, List<Event>> events = new HashMap<>();

    /** An event on the topic. */
    public record Event(String id, EventMark mark, int partition, long offset, long timestamp, String value) {
        public JsonNode json() {
            return Objects.requireNonNull(Json.parseLenient(value));
        }
    }

    private ReplyLog(KafkaConsumer<byte[], byte[]> consumer) {
        this.consumer = consumer;
        thread = Thread.ofPlatform().daemon().name("reply-log").unstarted(this::read);
    }

    /** Follows {@code prompt-replies}, which must exist. */
    public static ReplyLog follow(String bootstrap) {
        return follow(bootstrap, "prompt-replies");
    }

    public static ReplyLog follow(String bootstrap, String topic) {
        KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest", "enable.auto.commit", false),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
        List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition()))
                .toList();
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        ReplyLog log = new ReplyLog(consumer);
        log.thread.start();
        return log;
    }

    private void read() {
        while (!closed) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                EventHeaders.mark(record.headers()).ifPresent(mark -> add(record, mark));
            }
        }
        consumer.close();
    }

    private synchronized void add(ConsumerRecord<byte[], byte[]> record, EventMark mark) {
        String id = new String(record.key(), StandardCharsets.UTF_8);
        events.computeIfAbsent(id, _ -> new ArrayList<>())
                .add(new Event(
                        id,
                        mark,
                        record.partition(),
                        record.offset(),
                        record.timestamp(),
                        new String(record.value(), StandardCharsets.UTF_8)));
        notifyAll();
    }

    /** Returns every job that has an event. */
    public synchronized List<String> ids() {
        return List.copyOf(events.keySet());
    }

    /** Returns all events of a job, void or not, in order. */
    public synchronized List<Event> all(String id) {
        return List.copyOf(events.getOrDefault(id, List.of()));
    }

    /**
     * Returns the valid events of a job by the reading rule, in order. Events of earlier attempts are included if
     * they were valid.
     */
    public List<Event> valid(String id) {
        Reading reading = Reading.START;
        List<Event> valid = new ArrayList<>();
        for (Event event : all(id)) {
            if (reading.judge(event.mark()) != Reading.Verdict.VOID) {
                valid.add(event);
            }
            reading = reading.after(event.mark());
        }
        return valid;
    }

    public Reading reading(String id) {
        Reading reading = Reading.START;
        for (Event event : all(id)) {
            reading = reading.after(event.mark());
        }
        return reading;
    }

    /** Returns the valid outcome; the job must have ended. */
    public Event outcome(String id) {
        return valid(id).stream()
                .filter(event -> event.mark().kind().isOutcome())
                .findFirst()
                .orElseThrow(() -> new AssertionError("no outcome of " + id + " in " + all(id)));
    }

    /** Returns the valid text of the chunks, first choice. It begins with the text that the last attempt continues. */
    public String chunkText(String id) {
        return String.join("", pieces(id).stream().map(ReplyLog::piece).toList());
    }

    /** Returns the chunks whose text is valid, in order. */
    public List<Event> pieces(String id) {
        List<Event> pieces = new ArrayList<>();
        for (Event event : valid(id)) {
            switch (event.mark().kind()) {
                case STARTED -> {
                    JsonNode from = event.json().at("/job/resumed_from");
                    int attempt = from.path("attempt").asInt(-1);
                    pieces.removeIf(piece -> piece.mark().attempt() > attempt
                            || (piece.mark().attempt() == attempt
                                    && piece.mark().seq() > from.path("seq").asLong()));
                }
                case CHUNK -> pieces.add(event);
                case COMPLETED, FAILED, CANCELLED, EXPIRED, REJECTED -> {}
            }
        }
        return pieces;
    }

    private static String piece(Event event) {
        JsonNode choice = event.json().path("choices").path(0);
        return choice.has("text")
                ? choice.path("text").asText()
                : choice.path("delta").path("content").asText("");
    }

    /** Returns the whole text of a completed job, first choice. */
    public String completedText(String id) {
        JsonNode choice = outcome(id).json().path("choices").path(0);
        return choice.has("text")
                ? choice.path("text").asText()
                : choice.path("message").path("content").asText();
    }

    public long count(String id, EventMark.Kind kind) {
        return all(id).stream().filter(event -> event.mark().kind() == kind).count();
    }

    /** Returns the number of these jobs for each outcome. */
    public Map<String, Integer> outcomes(Collection<String> ids) {
        Map<String, Integer> outcomes = new LinkedHashMap<>();
        for (String id : ids) {
            EventMark.Kind outcome = reading(id).outcome();
            outcomes.merge(outcome == null ? "open" : outcome.wireName(), 1, Integer::sum);
        }
        return outcomes;
    }

    public void awaitOutcomes(Collection<String> ids, Duration patience) throws InterruptedException {
        List<String> open = new ArrayList<>(ids);
        await(
                () -> {
                    open.removeIf(id -> reading(id).isClosed());
                    return open.isEmpty();
                },
                patience,
                () -> "%d of %d jobs are open, %s among them: %s"
                        .formatted(open.size(), ids.size(), open.getFirst(), all(open.getFirst())));
    }

    public void await(BooleanSupplier condition, Duration patience, Supplier<String> otherwise)
            throws InterruptedException {
        long until = System.nanoTime() + patience.toNanos();
        synchronized (this) {
            while (!condition.getAsBoolean()) {
                long left = (until - System.nanoTime()) / 1_000_000;
                if (left <= 0) {
                    throw new AssertionError("not within " + patience + ": " + otherwise.get());
                }
                wait(left);
            }
        }
    }

    /** Waits until a job has a matching event. */
    public Event awaitEvent(String id, Predicate<Event> fits, Duration patience) throws InterruptedException {
        await(() -> all(id).stream().anyMatch(fits), patience, () -> "of " + id + " there is " + all(id));
        return all(id).stream().filter(fits).findFirst().orElseThrow();
    }

    @Override
    public void close() {
        closed = true;
        try {
            thread.join();
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }
}
