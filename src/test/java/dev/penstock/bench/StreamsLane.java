package dev.penstock.bench;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Streams of 64 deltas at 20 ms, some of them at once. It measures the time from the produce of a job until a consumer
 * has its first chunk. The baseline is a direct streamed call until its first delta, plus one record's trip through the
 * broker after it.
 */
final class StreamsLane {
    private static final int ROUNDS = 5;
    private static final int MANY = 256;
    private static final long STARTS_WITHIN_NANOS = TimeUnit.SECONDS.toNanos(1);
    private static final String TRIPS = "bench-trips";
    private static final String HEAP = "-Xmx512m";

    private final Stage stage;
    private final Options options;
    private final int streams;
    private final StreamWaves waves;
    private final Random random = new Random(20);
    private final Waits baseline = new Waits();
    private final Waits calls = new Waits();
    private final Waits trips = new Waits();
    private final Map<Variant, Waits> penstock = new LinkedHashMap<>();
    private final Map<Variant, List<Double>> microsPerToken = new LinkedHashMap<>();

    private StreamsLane(Stage stage, Options options, int streams, StreamWaves waves) {
        this.stage = stage;
        this.options = options;
        this.streams = streams;
        this.waves = waves;
    }

    static void run(Options options) throws InterruptedException, IOException {
        for (int streams : options.streams()) {
            try (Stage stage = Stage.open();
                    StreamedCall model = new StreamedCall(stage.fakeUrl(), streams);
                    KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                            Map.of("bootstrap.servers", stage.bootstrap(), "acks", "all", "linger.ms", 0),
                            new ByteArraySerializer(),
                            new ByteArraySerializer())) {
                StreamWaves waves = new StreamWaves(producer, model, TRIPS);
                new StreamsLane(stage, options, streams, waves)
                        .measure(options.rounds().orElse(ROUNDS));
            }
        }
    }

    private void measure(int rounds) throws InterruptedException, IOException {
        stage.createTopic(TRIPS, 12);
        int slots = Math.max(2 * Stage.SLOTS, streams);
        try (Arrivals _ = Arrivals.follow(stage.bootstrap(), TRIPS, waves::seen);
                RunningAll running =
                        RunningAll.start(stage, Variant.built(options.variants()), options.warmUp(), variant -> {
                            var builder = stage.builder(variant, "streams-" + variant, stage.fakeUrl(), slots)
                                    .runtimeOption(HEAP);
                            options.intake().forEach(builder::config);
                            return builder;
                        })) {
            Report report = new Report("streams-" + streams, rounds, settings(slots));
            for (int round = 0; round <= rounds; round++) { // the first does not count
                round(report, running.all(), round);
            }
            print(report, running.all(), rounds);
        }
    }

    private int wavesPerRound() {
        return streams >= MANY ? 1 : options.waves();
    }

    private Map<String, Object> settings(int slots) {
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put("streams", streams);
        settings.put("deltas", StreamWaves.DELTAS);
        settings.put("delta_ms", StreamWaves.DELTA_MILLIS);
        settings.put("starts_within_ms", STARTS_WITHIN_NANOS / 1_000_000);
        settings.put("waves", wavesPerRound());
        settings.put("slots", slots);
        settings.put("heap", HEAP);
        settings.put("warm_up_jobs", options.warmUp());
        settings.put("job_bytes", StreamWaves.JOB_BYTES);
        settings.put("spread", options.spread());
        settings.put("intake", options.intake());
        return settings;
    }

    private void round(Report report, List<Running> all, int round) throws InterruptedException {
        Map<Running, List<FirstSign>> ours = new LinkedHashMap<>();
        Map<Running, Double> micros = new LinkedHashMap<>();
        List<FirstSign> theirs = new ArrayList<>();
        for (int wave = 0; wave < wavesPerRound(); wave++) {
            long[] starts =
                    random.longs(streams, 0, STARTS_WITHIN_NANOS).sorted().toArray();
            for (Running each : all) {
                double cpu = each.cpuMillis();
                ours.computeIfAbsent(each, _ -> new ArrayList<>())
                        .addAll(waves.jobs(each, "s%d-%d".formatted(round, wave), starts, options.where()));
                micros.merge(each, (each.cpuMillis() - cpu) * 1000, Double::sum);
            }
            theirs.addAll(waves.calls("d%d-%d".formatted(round, wave), starts));
        }
        note(report, round, ours, micros, theirs);
    }

    private void note(
            Report report,
            int round,
            Map<Running, List<FirstSign>> ours,
            Map<Running, Double> micros,
            List<FirstSign> theirs) {
        Map<String, Object> sample = new LinkedHashMap<>();
        sample.put("round", round);
        sample.put("counts", round > 0);
        sample.put("load_average", Report.load());
        StringBuilder line = new StringBuilder(
                "streams %d, round %d%s:".formatted(streams, round, round == 0 ? " (does not count)" : ""));
        ours.forEach((running, signs) -> {
            List<Double> millis = Waits.millis(signs, FirstSign::totalMillis);
            double perToken = micros.getOrDefault(running, 0.0) / (signs.size() * StreamWaves.DELTAS);
            sample.put(running.variant() + " ms", millis);
            sample.put(running.variant() + " us/token", perToken);
            line.append(" %s %s;".formatted(running.variant(), Waits.text(millis)));
            if (round > 0) {
                penstock.computeIfAbsent(running.variant(), _ -> new Waits()).add(millis);
                microsPerToken
                        .computeIfAbsent(running.variant(), _ -> new ArrayList<>())
                        .add(perToken);
            }
        });
        List<Double> total = Waits.millis(theirs, FirstSign::totalMillis);
        List<Double> call = Waits.millis(theirs, FirstSign::callMillis);
        List<Double> trip = Waits.millis(theirs, FirstSign::tripMillis);
        sample.put("baseline_ms", total);
        sample.put("direct_call_ms", call);
        sample.put("trip_ms", trip);
        if (round > 0) {
            baseline.add(total);
            calls.add(call);
            trips.add(trip);
        }
        report.sample(sample);
        Bench.progress(line.append(" direct call and trip %s; load %.1f".formatted(Waits.text(total), Report.load()))
                .toString());
    }

    private void print(Report report, List<Running> running, int rounds) throws IOException, InterruptedException {
        Table table = new Table("ms until the first chunk", "p50", "p99", "own us/token");
        penstock.forEach((variant, waits) -> {
            Spread perToken = Spread.of(microsPerToken.getOrDefault(variant, List.of()));
            Spread more50 = waits.minus(baseline, 50);
            Spread more99 = waits.minus(baseline, 99);
            report.summary(
                    variant.toString(),
                    Map.of(
                            "p50_ms", waits.percentile(50),
                            "p99_ms", waits.percentile(99),
                            "difference_p50_ms", more50,
                            "difference_p99_ms", more99,
                            "own_cpu_us_per_token", perToken));
            table.row(
                    variant + ", produce to consumed",
                    waits.percentile(50).text(1),
                    waits.percentile(99).text(1),
                    perToken.text(0));
            table.row("  more than the direct call and trip", more50.text(1), more99.text(1), "");
        });
        table.row(baseline.row("direct call and trip"))
                .row(calls.row("  of these the call"))
                .row(trips.row("  and the trip"))
                .row("goal for 64 streams, jar", "+6", "+40", "")
                .row("goal for 64 streams, native", "+3", "+20", "");
        report.summary("baseline_p50_ms", baseline.percentile(50));
        report.summary("baseline_p99_ms", baseline.percentile(99));
        System.out.printf(
                Locale.ROOT,
                "%nstreams: %d at once of %d deltas at %d ms, started within 1 s, to %s; %s; %d waves a round, "
                        + "median of %d rounds (min..max) after %,d instant jobs; load %.1f%n%n%s%n",
                streams,
                StreamWaves.DELTAS,
                StreamWaves.DELTA_MILLIS,
                options.spread(),
                HEAP,
                wavesPerRound(),
                rounds,
                options.warmUp(),
                Report.load(),
                table);
        for (Running each : running) {
            Footprint footprint = Footprint.of(stage, each);
            report.summary(each.variant() + " footprint", footprint);
            System.out.println(each.variant() + ": all streams have completed; " + footprint.text());
        }
        Bench.wrote(report.write());
    }
}
