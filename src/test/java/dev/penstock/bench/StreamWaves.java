package dev.penstock.bench;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Waves of streams, through Penstock and as direct calls. It notes when the first chunk of each stream arrives. */
final class StreamWaves {
    static final int DELTAS = 64;
    static final int DELTA_MILLIS = 20;
    static final int JOB_BYTES = 1000;
    private static final String PROMPT = "[[tokens=%d delay=%d]]".formatted(DELTAS, DELTA_MILLIS);
    private static final long PATIENCE_SECONDS = 180;

    private final KafkaProducer<byte[], byte[]> producer;
    private final StreamedCall model;
    private final String trips;
    private final Map<String, FirstSign> pending = new ConcurrentHashMap<>();

    /** @param trips the topic of the record that follows the first delta of a direct call */
    StreamWaves(KafkaProducer<byte[], byte[]> producer, StreamedCall model, String trips) {
        this.producer = producer;
        this.model = model;
        this.trips = trips;
    }

    /**
     * Runs a wave through Penstock. It is over when its last job has completed and is acknowledged.
     *
     * @param starts when each stream starts, in nanoseconds from now
     */
    List<FirstSign> jobs(Running running, String name, long[] starts, Work.Where where) throws InterruptedException {
        CountDownLatch latch = new CountDownLatch(starts.length);
        List<FirstSign> wave = new ArrayList<>();
        running.observe(this::event);
        running.tally().reset();
        long zero = System.nanoTime();
        for (int i = 0; i < starts.length; i++) {
            String id = name + "-" + i;
            ProducerRecord<byte[], byte[]> job = Work.record(running.variant().jobs(), id, PROMPT, JOB_BYTES, where, i);
            FirstSign one = expect(id, latch, wave);
            parkUntil(zero + starts[i]);
            one.begin();
            var _ = producer.send(job);
        }
        await(latch);
        running.tally().await(starts.length);
        running.awaitNothingLeft();
        return wave;
    }

    /** Runs a wave of direct calls, each with a record's trip after its first delta; over when the last has ended. */
    List<FirstSign> calls(String name, long[] starts) throws InterruptedException {
        CountDownLatch latch = new CountDownLatch(starts.length);
        List<FirstSign> wave = new ArrayList<>();
        List<CompletableFuture<String>> texts = new ArrayList<>();
        long zero = System.nanoTime();
        for (int i = 0; i < starts.length; i++) {
            String id = name + "-" + i;
            byte[] key = id.getBytes(StandardCharsets.UTF_8);
            byte[] request = StreamedCall.request(Work.record(trips, id, PROMPT, JOB_BYTES, Work.Where.EVEN, i)
                    .value());
            FirstSign one = expect(id, latch, wave);
            parkUntil(zero + starts[i]);
            one.begin();
            texts.add(model.ask(request, () -> {
                one.answered();
                var _ = producer.send(new ProducerRecord<>(trips, key, key));
            }));
        }
        await(latch);
        texts.forEach(CompletableFuture::join);
        return wave;
    }

    private FirstSign expect(String id, CountDownLatch latch, List<FirstSign> wave) {
        FirstSign one = new FirstSign(latch);
        pending.put(id, one);
        wave.add(one);
        return one;
    }

    private void event(ConsumerRecord<byte[], byte[]> record, long nanos) {
        byte[] kind = record.headers().lastHeader("event").value();
        if (new String(kind, StandardCharsets.UTF_8).equals("chunk")) {
            seen(record, nanos);
        }
    }

    /** A record with the id of a stream has arrived. */
    void seen(ConsumerRecord<byte[], byte[]> record, long nanos) {
        FirstSign one = pending.remove(new String(record.key(), StandardCharsets.UTF_8));
        if (one != null) {
            one.seen(nanos);
        }
    }

    private static void await(CountDownLatch latch) throws InterruptedException {
        if (!latch.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
            throw new IllegalStateException("%d streams have no first chunk".formatted(latch.getCount()));
        }
    }

    static void parkUntil(long nanos) {
        long left = nanos - System.nanoTime();
        while (left > 0) {
            LockSupport.parkNanos(left);
            left = nanos - System.nanoTime();
        }
    }
}
