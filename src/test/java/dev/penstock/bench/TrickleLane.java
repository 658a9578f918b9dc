package dev.penstock.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import dev.penstock.testkit.upstream.UpstreamRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Jobs that come one by one, 50 a second, each with 1.3 s of work, on 128 slots. It measures the time from the produce of
 * a job until it has its slot, and until the model server, which runs in this process, has its request. The baseline is
 * the time until a plain consumer has the same record. The event {@code started} has the time of the slot in whole
 * milliseconds, so half a millisecond is added.
 */
final class TrickleLane {
    private static final int ROUNDS = 2;
    private static final int PER_SECOND = 50;
    private static final Duration WORK = Duration.ofMillis(1300);
    private static final int SLOTS = 2 * Stage.SLOTS;
    private static final int JOB_BYTES = 1000;
    private static final String ID = "trickle-";
    private static final ObjectMapper JSON = JsonMapper.builder().build();

    private final Stage stage;
    private final Options options;
    private final KafkaProducer<byte[], byte[]> producer;
    /** Times by job id, of {@link System#nanoTime}. */
    private final Map<String, Long> requested = new ConcurrentHashMap<>();

    private final Map<String, Long> consumed = new ConcurrentHashMap<>();
    /** When each job got its slot, in milliseconds since 1970. */
    private final Map<String, Double> started = new ConcurrentHashMap<>();

    private final Map<Variant, Found> found = new LinkedHashMap<>();

    private TrickleLane(Stage stage, Options options, KafkaProducer<byte[], byte[]> producer) {
        this.stage = stage;
        this.options = options;
        this.producer = producer;
    }

    static void run(Options options) throws InterruptedException, IOException {
        try (Stage stage = Stage.open();
                FakeUpstream model = FakeUpstream.start();
                KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                        Map.of("bootstrap.servers", stage.bootstrap(), "acks", "all", "linger.ms", 0),
                        new ByteArraySerializer(),
                        new ByteArraySerializer())) {
            TrickleLane lane = new TrickleLane(stage, options, producer);
            model.keep(0).script(lane::answer);
            lane.measure(URI.create(model.url()), options.rounds().orElse(ROUNDS));
        }
    }

    /** Notes the arrival of a request. The prompt of a job begins with the job's id. */
    private Answer answer(UpstreamRequest request) {
        long now = System.nanoTime();
        String id = request.prompt().split(" ", 2)[0];
        if (!id.startsWith(ID)) {
            return Answer.tokens(8);
        }
        requested.put(id, now);
        return Answer.tokens(1).firstTokenAfter(WORK);
    }

    private void measure(URI model, int rounds) throws InterruptedException, IOException {
        try (RunningAll running = RunningAll.start(
                stage,
                Variant.built(options.variants()),
                options.warmUp(),
                variant -> stage.builder(variant, "trickle-" + variant, model, SLOTS))) {
            Report report = new Report("trickle", rounds, settings());
            for (int round = 1; round <= rounds; round++) {
                for (Running each : running.all()) {
                    round(report, each, round);
                }
            }
            print(report, running.all(), rounds);
        }
    }

    private Map<String, Object> settings() {
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put("per_second", PER_SECOND);
        settings.put("seconds", options.seconds());
        settings.put("work_ms", WORK.toMillis());
        settings.put("slots", SLOTS);
        settings.put("job_bytes", JOB_BYTES);
        settings.put("spread", options.spread());
        settings.put("warm_up_jobs", options.warmUp());
        return settings;
    }

    private void round(Report report, Running running, int round) throws InterruptedException {
        int jobs = PER_SECOND * options.seconds();
        requested.clear();
        consumed.clear();
        started.clear();
        running.tally().reset();
        running.observe(this::event);
        Map<String, Long> produced = new LinkedHashMap<>();
        Map<String, Double> producedAt = new HashMap<>();
        double cpu = running.cpuMillis();
        try (Arrivals _ = Arrivals.follow(stage.bootstrap(), running.variant().jobs(), this::consumed)) {
            long zero = System.nanoTime();
            for (int i = 0; i < jobs; i++) {
                String id = ID + round + "-" + i;
                var job = Work.record(running.variant().jobs(), id, id, JOB_BYTES, options.where(), i);
                StreamWaves.parkUntil(zero + i * TimeUnit.SECONDS.toNanos(1) / PER_SECOND);
                producedAt.put(id, millis(Instant.now()));
                produced.put(id, System.nanoTime());
                var _ = producer.send(job);
            }
            running.tally().await(jobs);
        }
        cpu = running.cpuMillis() - cpu;
        running.awaitNothingLeft();
        List<Double> handed = new ArrayList<>();
        List<Double> slot = new ArrayList<>();
        List<Double> trip = new ArrayList<>();
        produced.forEach((id, begun) -> {
            handed.add((requested.getOrDefault(id, Long.MAX_VALUE) - begun) / 1e6);
            slot.add(started.getOrDefault(id, Double.MAX_VALUE) - producedAt.getOrDefault(id, 0.0));
            trip.add((consumed.getOrDefault(id, Long.MAX_VALUE) - begun) / 1e6);
        });
        Found into = found.computeIfAbsent(running.variant(), _ -> new Found());
        into.add("slot p50", Spread.percentile(slot, 50));
        into.add("slot p99", Spread.percentile(slot, 99));
        into.add("p50", Spread.percentile(handed, 50));
        into.add("p99", Spread.percentile(handed, 99));
        into.add("most", Spread.percentile(handed, 100));
        into.add("trip p50", Spread.percentile(trip, 50));
        into.add("trip p99", Spread.percentile(trip, 99));
        into.add("own us/job", cpu * 1000 / jobs);
        Map<String, Object> sample = new LinkedHashMap<>();
        sample.put("round", round);
        sample.put("variant", running.variant().toString());
        sample.put("load_average", Report.load());
        sample.put("slot_ms", slot);
        sample.put("request_ms", handed);
        sample.put("trip_ms", trip);
        report.sample(sample);
        Bench.progress("trickle round %d: %s slot %s, request %s; a plain consumer %s; load %.1f"
                .formatted(
                        round,
                        running.variant(),
                        Waits.text(slot),
                        Waits.text(handed),
                        Waits.text(trip),
                        Report.load()));
    }

    private void event(ConsumerRecord<byte[], byte[]> record, long nanos) {
        byte[] kind = record.headers().lastHeader("event").value();
        String id = new String(record.key(), StandardCharsets.UTF_8);
        if (id.startsWith(ID) && new String(kind, StandardCharsets.UTF_8).equals("started")) {
            try {
                String at = JSON.readTree(record.value()).findPath("at").asText();
                started.putIfAbsent(id, millis(Instant.parse(at)) + 0.5);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private static double millis(Instant instant) {
        return instant.getEpochSecond() * 1e3 + instant.getNano() / 1e6;
    }

    private void consumed(ConsumerRecord<byte[], byte[]> record, long nanos) {
        consumed.putIfAbsent(Work.id(record.value()), nanos);
    }

    private void print(Report report, List<Running> running, int rounds) throws IOException, InterruptedException {
        Table table = new Table(
                "",
                "produce to slot, p50 ms",
                "p99 ms",
                "to request, p50 ms",
                "p99 ms",
                "longest ms",
                "to a plain consumer, p50 ms",
                "p99 ms",
                "own us/job");
        found.forEach((variant, of) -> {
            report.summary(variant.toString(), of.summary());
            table.row(
                    variant.toString(),
                    of.cell("slot p50", 1),
                    of.cell("slot p99", 1),
                    of.cell("p50", 1),
                    of.cell("p99", 1),
                    of.cell("most", 0),
                    of.cell("trip p50", 1),
                    of.cell("trip p99", 1),
                    of.cell("own us/job", 0));
        });
        table.row("goal", "3", "20", "", "", "", "", "", "");
        System.out.printf(
                Locale.ROOT,
                "%ntrickle: %d jobs/s of %d ms for %d s, %d slots, to %s; median of %d rounds (min..max) after %,d instant jobs; "
                        + "load %.1f%n%n%s%n",
                PER_SECOND,
                WORK.toMillis(),
                options.seconds(),
                SLOTS,
                options.spread(),
                rounds,
                options.warmUp(),
                Report.load(),
                table);
        for (Running each : running) {
            Footprint footprint = Footprint.of(stage, each);
            report.summary(each.variant() + " footprint", footprint);
            System.out.println(each.variant() + ": " + footprint.text());
        }
        Bench.wrote(report.write());
    }
}
