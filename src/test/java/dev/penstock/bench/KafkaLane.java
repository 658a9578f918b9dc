package dev.penstock.bench;

import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.Postgres;
import dev.penstock.testkit.Vitals;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Instant jobs from Kafka, through Penstock and through two raw loops, in jobs a second. One raw loop writes the same
 * events as Penstock; the other writes one record for each job.
 */
final class KafkaLane {
    private static final double GOAL_EVENTS = 0.8;
    private static final double GOAL_ONE_RECORD = 0.5;
    private static final double GOAL_OWN_MICROS = 300;
    private static final int TOKENS = 8;
    private static final int JOBS = 10_000;
    private static final int ROUNDS = 5;
    private static final String EVENTS = "raw, same events";
    private static final String ONE_RECORD = "raw, one record";

    private final Stage stage;
    private final Options options;
    private final String ledger;
    private final int jobs;
    private final Map<String, List<Run>> runs = new LinkedHashMap<>();

    private KafkaLane(Stage stage, Options options, String ledger) {
        this.ledger = ledger;
        this.stage = stage;
        this.options = options;
        jobs = options.jobs().orElse(JOBS);
    }

    static void run(Options options) throws InterruptedException, IOException {
        for (String ledger : options.ledgers()) {
            try (Stage stage = Stage.open()) {
                new KafkaLane(stage, options, ledger).measure(options.rounds().orElse(ROUNDS));
            }
        }
    }

    /**
     * One program that does the jobs.
     *
     * @param pid the process that does them
     */
    private record Way(String name, long pid, String topic, String group, Tally tally) {
        static Way of(Running running) {
            return new Way(
                    running.variant().toString(),
                    running.process().pid(),
                    running.variant().jobs(),
                    running.group(),
                    running.tally());
        }
    }

    /**
     * One program's round.
     *
     * @param records the records that it wrote for each job
     * @param bytes the keys, headers and values of these records
     * @param again the number of jobs that ran twice
     * @param ownMicros processor time of its own process for each job
     * @param brokerMicros processor time of the broker for each job
     */
    private record Run(
            double perSecond, double records, double bytes, int again, double ownMicros, double brokerMicros) {
        Map<String, Object> json() {
            Map<String, Object> json = new LinkedHashMap<>();
            json.put("jobs_per_second", perSecond);
            json.put("records_per_job", records);
            json.put("bytes_per_job", bytes);
            json.put("ran_twice", again);
            json.put("own_cpu_us_per_job", ownMicros);
            json.put("broker_cpu_us_per_job", brokerMicros);
            return json;
        }
    }

    private void measure(int rounds) throws InterruptedException, IOException {
        Map<String, String> config = new LinkedHashMap<>(options.intake());
        config.put("penstock.ledger.kind", ledger);
        try (Postgres postgres = ledger.equals("postgresql") ? Postgres.start("bench") : null) {
            if (postgres != null) {
                config.put("penstock.ledger.url", postgres.url());
                config.put("penstock.ledger.username", postgres.username());
            }
            measure(rounds, config);
        }
    }

    private void measure(int rounds, Map<String, String> config) throws InterruptedException, IOException {
        // the programs would share the tables of one PostgreSQL
        List<Variant> variants = Variant.built(options.variants());
        if (ledger.equals("postgresql") && variants.size() > 1) {
            Bench.progress("PostgreSQL: only " + variants.getFirst() + " is measured");
            variants = variants.subList(0, 1);
        }
        Tally events = new Tally();
        Tally oneRecord = new Tally();
        try (RunningAll running = RunningAll.start(stage, variants, 0, variant -> {
                    var builder = stage.builder(variant, "kafka-" + variant, stage.fakeUrl(), 2 * Stage.SLOTS);
                    config.forEach(builder::config);
                    return builder;
                });
                ChildProcess same = stage.rawLoop("raw-events-jobs", "raw-events", "raw-events", "events");
                ChildProcess one = stage.rawLoop("raw-record-jobs", "raw-record", "raw-record", "record");
                Arrivals _ = Arrivals.follow(stage.bootstrap(), "raw-events", events);
                Arrivals _ = Arrivals.follow(stage.bootstrap(), "raw-record", oneRecord)) {
            List<Way> ways = new ArrayList<>();
            running.all().forEach(each -> ways.add(Way.of(each)));
            ways.add(new Way(EVENTS, same.pid(), "raw-events-jobs", "raw-events", events));
            ways.add(new Way(ONE_RECORD, one.pid(), "raw-record-jobs", "raw-record", oneRecord));
            Report report = new Report("kafka-" + ledger, rounds, settings());
            for (Way way : ways) {
                round(way, "warm", options.warmUp());
            }
            for (int round = 1; round <= rounds; round++) {
                round(report, ways, round);
            }
            print(report, running.all(), rounds);
        }
    }

    private void round(Report report, List<Way> ways, int round) throws InterruptedException {
        Map<String, Object> sample = new LinkedHashMap<>();
        sample.put("round", round);
        StringBuilder line = new StringBuilder("kafka round " + round + ":");
        for (Way way : ways) {
            Run run = round(way, "k" + round, jobs);
            runs.computeIfAbsent(way.name(), _ -> new ArrayList<>()).add(run);
            sample.put(way.name(), run.json());
            line.append(" %s %.0f jobs/s,".formatted(way.name(), run.perSecond()));
        }
        sample.put("load_average", Report.load());
        report.sample(sample);
        Bench.progress(line.append(" load %.1f".formatted(Report.load())).toString());
    }

    private Map<String, Object> settings() {
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put("jobs", jobs);
        settings.put("warm_up_jobs", options.warmUp());
        settings.put("job_bytes", 1000);
        settings.put("tokens", TOKENS);
        settings.put("slots", Stage.SLOTS);
        settings.put("partitions", Stage.PARTITIONS);
        settings.put("ledger", ledger);
        settings.put("intake", options.intake());
        settings.put("raw_consumers", RawLoop.CONSUMERS);
        settings.put("raw_batch", RawLoop.BATCH);
        settings.put("goal_of_same_events", GOAL_EVENTS);
        settings.put("goal_of_one_record", GOAL_ONE_RECORD);
        settings.put("goal_own_cpu_us_per_job", GOAL_OWN_MICROS);
        return settings;
    }

    private Run round(Way way, String name, int count) throws InterruptedException {
        Work work = Work.instant(name, count);
        way.tally().reset();
        try (Still still = Still.hold(way.pid())) {
            work.send(stage.bootstrap(), way.topic(), Work.Where.EVEN);
            double own = Vitals.cpuMillis(way.pid());
            double broker = Vitals.cpuMillis(stage.brokerPid());
            long begun = still.letGo();
            long ended = way.tally().await(count);
            double seconds = (ended - begun) / 1e9;
            own = Vitals.cpuMillis(way.pid()) - own;
            broker = Vitals.cpuMillis(stage.brokerPid()) - broker;
            stage.awaitNothingLeft(way.group());
            int again = way.tally().again();
            if (again > 0) {
                Bench.progress("%s: %d jobs ran twice".formatted(way.name(), again));
            }
            return new Run(
                    count / seconds,
                    (double) way.tally().records() / count,
                    (double) way.tally().bytes() / count,
                    again,
                    own * 1000 / count,
                    broker * 1000 / count);
        }
    }

    private void print(Report report, List<Running> running, int rounds) throws IOException, InterruptedException {
        Table table = new Table(
                "",
                "jobs/s",
                "of same events",
                "of one record",
                "own us/job",
                "own us/token",
                "broker us/job",
                "records/job",
                "bytes/job");
        runs.forEach((name, all) -> {
            Map<String, Spread> summary = new LinkedHashMap<>();
            summary.put("jobs_per_second", Spread.of(all.stream().mapToDouble(Run::perSecond)));
            summary.put("of_same_events", ratio(all, EVENTS));
            summary.put("of_one_record", ratio(all, ONE_RECORD));
            summary.put("own_cpu_us_per_job", Spread.of(all.stream().mapToDouble(Run::ownMicros)));
            summary.put("broker_cpu_us_per_job", Spread.of(all.stream().mapToDouble(Run::brokerMicros)));
            report.summary(name, summary);
            table.row(
                    name,
                    cell(summary, "jobs_per_second", 0),
                    cell(summary, "of_same_events", 2),
                    cell(summary, "of_one_record", 2),
                    cell(summary, "own_cpu_us_per_job", 0),
                    Spread.of(all.stream().mapToDouble(run -> run.ownMicros() / TOKENS))
                            .text(0),
                    cell(summary, "broker_cpu_us_per_job", 0),
                    Spread.of(all.stream().mapToDouble(Run::records)).text(1),
                    "%.0f"
                            .formatted(Spread.of(all.stream().mapToDouble(Run::bytes))
                                    .median()));
        });
        table.row(
                "goal",
                "",
                ">= " + GOAL_EVENTS,
                ">= " + GOAL_ONE_RECORD,
                "<= " + (int) GOAL_OWN_MICROS,
                "",
                "",
                "",
                "");
        System.out.printf(
                Locale.ROOT,
                "%nkafka, ledger %s: %,d jobs of 1 kB on %d partitions, %d tokens at once; median of %d rounds (min..max) "
                        + "after %,d jobs each; load %.1f%n%n%s%n",
                ledger,
                jobs,
                Stage.PARTITIONS,
                TOKENS,
                rounds,
                options.warmUp(),
                Report.load(),
                table);
        for (Running each : running) {
            Footprint footprint = Footprint.of(stage, each);
            report.summary(each.variant() + " footprint", footprint);
            System.out.println(each.variant() + ": " + footprint.text());
        }
        System.out.printf(Locale.ROOT, """

                A raw loop polls batches of %d with %d share consumers, calls the same server streamed on %d slots, parses every
                delta and acknowledges the batch. It does not parse strictly, renew locks, keep an order, fail over, or look for
                what ran before.
                """, RawLoop.BATCH, RawLoop.CONSUMERS, Stage.SLOTS);
        Bench.wrote(report.write());
    }

    /** Returns the ratios of the rates, round by round. */
    private Spread ratio(List<Run> ours, String other) {
        List<Run> theirs = runs.getOrDefault(other, List.of());
        List<Double> ratios = new ArrayList<>();
        for (int i = 0; i < ours.size(); i++) {
            ratios.add(ours.get(i).perSecond() / theirs.get(i).perSecond());
        }
        return Spread.of(ratios);
    }

    private static String cell(Map<String, Spread> summary, String key, int decimals) {
        Spread spread = summary.get(key);
        return spread == null ? "-" : spread.text(decimals);
    }
}
