package dev.penstock.bench;

import dev.penstock.testkit.PenstockProcess;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.ToDoubleFunction;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * 64 streams of 64 deltas at 20 ms. It measures the time from the produce of a job until a consumer has its first
 * chunk. The baseline is a direct streamed call until its first delta, plus one record's trip through the broker
 * after it.
 */
final class StreamsLane {
    private static final int ROUNDS = 5;
    private static final int STREAMS = 64;
    private static final String PROMPT = "[[tokens=64 delay=20]]";
    private static final long STARTS_WITHIN_NANOS = TimeUnit.SECONDS.toNanos(1);
    private static final int JOB_BYTES = 1000;
    private static final String TRIPS = "bench-trips";

    private final Stage stage;
    private final Options options;
    private final KafkaProducer<byte[], byte[]> producer;
    private final StreamedCall model;
    private final Tally outcomes = new Tally();
    private final Map<String, FirstSign> pending = new ConcurrentHashMap<>();
    private final Random random = new Random(20);

    private StreamsLane(Stage stage, Options options, KafkaProducer<byte[], byte[]> producer, StreamedCall model) {
        this.stage = stage;
        this.options = options;
        this.producer = producer;
        this.model = model;
    }

    /** All waves of one program in a round, in milliseconds. */
    private record Waits(List<Double> millis) {
        static Waits of(List<FirstSign> all, ToDoubleFunction<FirstSign> millis) {
            return new Waits(all.stream().mapToDouble(millis).boxed().toList());
        }

        double p50() {
            return Spread.percentile(millis, 50);
        }

        double p99() {
            return Spread.percentile(millis, 99);
        }
    }

    /** One round: Penstock, the baseline, and its two parts, the call and the trip. */
    private record Round(Waits penstock, Waits baseline, Waits call, Waits trip) {
        double more50() {
            return penstock.p50() - baseline.p50();
        }

        double more99() {
            return penstock.p99() - baseline.p99();
        }
    }

    static void run(Options options) throws InterruptedException, IOException {
        try (Stage stage = Stage.open();
                StreamedCall model = new StreamedCall(stage.fakeUrl(), STREAMS);
                KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                        Map.of("bootstrap.servers", stage.bootstrap(), "acks", "all", "linger.ms", 0),
                        new ByteArraySerializer(),
                        new ByteArraySerializer())) {
            new StreamsLane(stage, options, producer, model)
                    .measure(options.rounds().orElse(ROUNDS));
        }
    }

    private void measure(int rounds) throws InterruptedException, IOException {
        stage.createTopic(TRIPS, 12);
        try (PenstockProcess _ = stage.penstock("penstock", options.intake());
                Arrivals _ = Arrivals.follow(stage.bootstrap(), "prompt-replies", this::event);
                Arrivals _ = Arrivals.follow(stage.bootstrap(), TRIPS, this::seen)) {
            Report report = new Report("streams", rounds, settings());
            List<Round> counted = new ArrayList<>();
            for (int round = 0; round <= rounds; round++) {
                Round measured = round(round);
                Bench.progress(
                        "streams round %d%s: penstock p50 %.1f p99 %.1f ms, direct call and trip p50 %.1f p99 %.1f ms"
                                .formatted(
                                        round,
                                        round == 0 ? " (warm-up)" : "",
                                        measured.penstock().p50(),
                                        measured.penstock().p99(),
                                        measured.baseline().p50(),
                                        measured.baseline().p99()));
                report.sample(sample(round, measured));
                if (round > 0) {
                    counted.add(measured);
                }
            }
            print(report, counted);
        }
    }

    private Map<String, Object> settings() {
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put("streams", STREAMS);
        settings.put("deltas", 64);
        settings.put("delta_ms", 20);
        settings.put("starts_within_ms", STARTS_WITHIN_NANOS / 1_000_000);
        settings.put("waves", options.waves());
        settings.put("job_bytes", JOB_BYTES);
        settings.put("spread", options.spread());
        settings.put("intake", options.intake());
        return settings;
    }

    private static Map<String, Object> sample(int round, Round measured) {
        Map<String, Object> sample = new LinkedHashMap<>();
        sample.put("round", round);
        sample.put("counts", round > 0);
        sample.put("penstock_ms", measured.penstock().millis());
        sample.put("baseline_ms", measured.baseline().millis());
        sample.put("direct_call_ms", measured.call().millis());
        sample.put("trip_ms", measured.trip().millis());
        return sample;
    }

    private Round round(int round) throws InterruptedException {
        List<FirstSign> ours = new ArrayList<>();
        List<FirstSign> theirs = new ArrayList<>();
        for (int wave = 0; wave < options.waves(); wave++) {
            long[] starts =
                    random.longs(STREAMS, 0, STARTS_WITHIN_NANOS).sorted().toArray();
            ours.addAll(jobs("s%d-%d".formatted(round, wave), starts));
            theirs.addAll(calls("d%d-%d".formatted(round, wave), starts));
        }
        return new Round(
                Waits.of(ours, FirstSign::totalMillis),
                Waits.of(theirs, FirstSign::totalMillis),
                Waits.of(theirs, FirstSign::callMillis),
                Waits.of(theirs, FirstSign::tripMillis));
    }

    /** Runs a wave through Penstock; over when its last job has completed and is acknowledged. */
    private List<FirstSign> jobs(String name, long[] starts) throws InterruptedException {
        CountDownLatch latch = new CountDownLatch(STREAMS);
        List<FirstSign> wave = new ArrayList<>();
        outcomes.reset();
        Work.Where where = options.sticky() ? Work.Where.STICKY : Work.Where.EVEN;
        long zero = System.nanoTime();
        for (int i = 0; i < STREAMS; i++) {
            String id = name + "-" + i;
            ProducerRecord<byte[], byte[]> job = Work.record(Stage.JOBS, id, PROMPT, JOB_BYTES, where, i);
            FirstSign one = expect(id, latch, wave);
            parkUntil(zero + starts[i]);
            one.begin();
            var _ = producer.send(job);
        }
        await(latch);
        outcomes.await(STREAMS);
        stage.awaitNothingLeft(Stage.GROUP);
        return wave;
    }

    /** Runs a wave of direct calls, each with a record's trip after its first delta; over when the last has ended. */
    private List<FirstSign> calls(String name, long[] starts) throws InterruptedException {
        CountDownLatch latch = new CountDownLatch(STREAMS);
        List<FirstSign> wave = new ArrayList<>();
        List<CompletableFuture<String>> texts = new ArrayList<>();
        long zero = System.nanoTime();
        for (int i = 0; i < STREAMS; i++) {
            String id = name + "-" + i;
            byte[] key = id.getBytes(StandardCharsets.UTF_8);
            byte[] request = StreamedCall.request(Work.record(TRIPS, id, PROMPT, JOB_BYTES, Work.Where.EVEN, i)
                    .value());
            FirstSign one = expect(id, latch, wave);
            parkUntil(zero + starts[i]);
            one.begin();
            texts.add(model.ask(request, () -> {
                one.answered();
                var _ = producer.send(new ProducerRecord<>(TRIPS, key, key));
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
        outcomes.arrived(record, nanos);
    }

    private void seen(ConsumerRecord<byte[], byte[]> record, long nanos) {
        FirstSign one = pending.remove(new String(record.key(), StandardCharsets.UTF_8));
        if (one != null) {
            one.seen(nanos);
        }
    }

    private static void await(CountDownLatch latch) throws InterruptedException {
        if (!latch.await(60, TimeUnit.SECONDS)) {
            throw new IllegalStateException("%d of %d streams have said nothing".formatted(latch.getCount(), STREAMS));
        }
    }

    private static void parkUntil(long nanos) {
        long left = nanos - System.nanoTime();
        while (left > 0) {
            LockSupport.parkNanos(left);
            left = nanos - System.nanoTime();
        }
    }

    private void print(Report report, List<Round> rounds) throws IOException {
        Spread more50 = Spread.of(rounds.stream().mapToDouble(Round::more50));
        Spread more99 = Spread.of(rounds.stream().mapToDouble(Round::more99));
        report.summary("difference_p50_ms", more50);
        report.summary("difference_p99_ms", more99);
        Table table = new Table("ms until the first chunk", "p50", "p99");
        rows(
                report,
                table,
                "penstock",
                "Penstock, produce to consumed",
                rounds.stream().map(Round::penstock).toList());
        rows(
                report,
                table,
                "baseline",
                "direct call and trip",
                rounds.stream().map(Round::baseline).toList());
        rows(
                report,
                table,
                "direct_call",
                "  of these the call",
                rounds.stream().map(Round::call).toList());
        rows(
                report,
                table,
                "trip",
                "  and the trip",
                rounds.stream().map(Round::trip).toList());
        table.row("difference", more50.text(1), more99.text(1)).row("goal", "+5", "+20");
        System.out.printf(
                Locale.ROOT,
                "%nstreams: %d at once of 64 deltas at 20 ms, started within 1 s, to %s; %d waves a round, "
                        + "median of %d rounds (min..max)%n%n%s",
                STREAMS,
                options.spread(),
                options.waves(),
                rounds.size(),
                table);
        Bench.wrote(report.write());
    }

    private static void rows(Report report, Table table, String key, String name, List<Waits> waits) {
        Spread p50 = Spread.of(waits.stream().mapToDouble(Waits::p50));
        Spread p99 = Spread.of(waits.stream().mapToDouble(Waits::p99));
        report.summary(key + "_p50_ms", p50);
        report.summary(key + "_p99_ms", p99);
        table.row(name, p50.text(1), p99.text(1));
    }
}
