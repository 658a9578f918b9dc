package dev.penstock.bench;

import dev.penstock.testkit.ChildProcess;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Postgres;
import dev.penstock.testkit.Vitals;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Instant jobs from Kafka, through Penstock and through a raw loop, in jobs a second. */
final class KafkaLane {
    private static final double GOAL = 0.8;
    private static final int JOBS = 10_000;
    private static final int ROUNDS = 5;
    private static final String RAW_JOBS = "raw-jobs";
    private static final String RAW_ANSWERS = "raw-answers";
    private static final String RAW_GROUP = "raw";

    private final Stage stage;
    private final Options options;
    private final String ledger;
    private final int jobs;

    private KafkaLane(Stage stage, Options options, String ledger) {
        this.ledger = ledger;
        this.stage = stage;
        this.options = options;
        jobs = options.jobs().orElse(JOBS);
    }

    static void run(Options options) throws InterruptedException, IOException {
        Table sideBySide = new Table("ledger", "jobs/s", "of the raw loop", "own CPU us/job");
        for (String ledger : options.ledgers()) {
            try (Stage stage = Stage.open()) {
                Measured measured = new KafkaLane(stage, options, ledger)
                        .measure(options.rounds().orElse(ROUNDS));
                sideBySide.row(
                        ledger,
                        measured.perSecond().text(0),
                        measured.ratio().text(2),
                        measured.ownMicros().text(0));
            }
        }
        System.out.printf(
                "%nkafka, by ledger; the goal is that one costs less than a quarter of the rate without%n%n%s",
                sideBySide);
    }

    /** Penstock's results with one kind of ledger. */
    private record Measured(Spread perSecond, Spread ratio, Spread ownMicros) {}

    /**
     * One program that does the jobs.
     *
     * @param pid the process that does them
     */
    private record Way(String name, long pid, String topic, String group, Tally tally) {}

    /**
     * One program's round.
     *
     * @param records the records that it wrote for each job
     * @param again the number of jobs that ran twice
     * @param ownMicros processor time of its own process for each job
     * @param brokerMicros processor time of the broker for each job
     * @param idlePercent the use of a core by the other program's process in the meantime
     */
    private record Run(
            double perSecond, double records, int again, double ownMicros, double brokerMicros, double idlePercent) {
        Map<String, Object> json() {
            Map<String, Object> json = new LinkedHashMap<>();
            json.put("jobs_per_second", perSecond);
            json.put("records_per_job", records);
            json.put("ran_twice", again);
            json.put("own_cpu_us_per_job", ownMicros);
            json.put("broker_cpu_us_per_job", brokerMicros);
            json.put("idle_other_cpu_percent", idlePercent);
            return json;
        }
    }

    private Measured measure(int rounds) throws InterruptedException, IOException {
        Tally events = new Tally();
        Tally answers = new Tally();
        Map<String, String> config = new LinkedHashMap<>(options.intake());
        config.put("penstock.ledger.kind", ledger);
        try (Postgres postgres = ledger.equals("postgresql") ? Postgres.start("bench") : null) {
            if (postgres != null) {
                config.put("penstock.ledger.url", postgres.url());
                config.put("penstock.ledger.username", postgres.username());
            }
            return measure(rounds, events, answers, config);
        }
    }

    private Measured measure(int rounds, Tally events, Tally answers, Map<String, String> config)
            throws InterruptedException, IOException {
        try (PenstockProcess penstock = stage.penstock("penstock", config);
                ChildProcess raw = stage.rawLoop(RAW_JOBS, RAW_ANSWERS, RAW_GROUP);
                Arrivals _ = Arrivals.follow(stage.bootstrap(), "prompt-replies", events);
                Arrivals _ = Arrivals.follow(stage.bootstrap(), RAW_ANSWERS, answers)) {
            Way a = new Way("penstock", penstock.pid(), Stage.JOBS, Stage.GROUP, events);
            Way b = new Way("raw", raw.pid(), RAW_JOBS, RAW_GROUP, answers);
            Report report = new Report("kafka-" + ledger, rounds, settings());
            List<Run> ours = new ArrayList<>();
            List<Run> theirs = new ArrayList<>();
            for (int round = 0; round <= rounds; round++) {
                Run our = round(a, b, "k" + round);
                Run their = round(b, a, "k" + round);
                Bench.progress("kafka round %d%s: penstock %.0f jobs/s, raw loop %.0f jobs/s"
                        .formatted(round, round == 0 ? " (warm-up)" : "", our.perSecond(), their.perSecond()));
                report.sample(
                        Map.of("round", round, "counts", round > 0, a.name(), our.json(), b.name(), their.json()));
                if (round > 0) {
                    ours.add(our);
                    theirs.add(their);
                }
            }
            return print(report, ours, theirs);
        }
    }

    private Map<String, Object> settings() {
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put("jobs", jobs);
        settings.put("job_bytes", 1000);
        settings.put("slots", Stage.SLOTS);
        settings.put("partitions", Stage.PARTITIONS);
        settings.put("ledger", ledger);
        settings.put("intake", options.intake());
        settings.put("raw_consumers", RawLoop.CONSUMERS);
        settings.put("raw_batch", RawLoop.BATCH);
        settings.put("goal", GOAL);
        return settings;
    }

    /** @param idle the other program, which only polls in the meantime */
    private Run round(Way way, Way idle, String name) throws InterruptedException {
        Work work = Work.instant(name, jobs);
        way.tally().reset();
        try (Still still = Still.hold(way.pid())) {
            work.send(stage.bootstrap(), way.topic(), Work.Where.EVEN);
            double own = Vitals.cpuMillis(way.pid());
            double broker = Vitals.cpuMillis(stage.brokerPid());
            double idling = Vitals.cpuMillis(idle.pid());
            long begun = still.letGo();
            long ended = way.tally().await(jobs);
            double seconds = (ended - begun) / 1e9;
            own = Vitals.cpuMillis(way.pid()) - own;
            broker = Vitals.cpuMillis(stage.brokerPid()) - broker;
            idling = Vitals.cpuMillis(idle.pid()) - idling;
            stage.awaitNothingLeft(way.group());
            double records = (double) way.tally().records() / jobs;
            int again = way.tally().again();
            if (again > 0) {
                Bench.progress("%s: %d jobs ran twice".formatted(way.name(), again));
            }
            return new Run(
                    jobs / seconds, records, again, own * 1000 / jobs, broker * 1000 / jobs, idling / 10 / seconds);
        }
    }

    private Measured print(Report report, List<Run> ours, List<Run> theirs) throws IOException {
        List<Double> ratios = new ArrayList<>();
        for (int i = 0; i < ours.size(); i++) {
            ratios.add(ours.get(i).perSecond() / theirs.get(i).perSecond());
        }
        Spread our = Spread.of(ours.stream().mapToDouble(Run::perSecond));
        Spread their = Spread.of(theirs.stream().mapToDouble(Run::perSecond));
        Spread ratio = Spread.of(ratios);
        report.summary("penstock_jobs_per_second", our);
        report.summary("raw_jobs_per_second", their);
        report.summary("ratio", ratio);
        System.out.printf(
                Locale.ROOT,
                "%nkafka, ledger %s: %,d jobs of 1 kB on %d partitions, 8 tokens at once, %d slots; median of %d rounds (min..max)%n%n",
                ledger,
                jobs,
                Stage.PARTITIONS,
                Stage.SLOTS,
                ours.size());
        System.out.print(new Table("", "jobs/s", "records/job", "own CPU us/job", "broker CPU us/job")
                .row(row("Penstock", our, ours))
                .row(row("raw loop", their, theirs))
                .row("ratio", ratio.text(2), "", "", ""));
        System.out.printf(Locale.ROOT, """

                The ratio's goal is %.1f. The raw loop polls batches of %d with %d share consumers, calls the same server
                streamed, parses every delta, writes one answer record a job and acknowledges the batch. It does not write
                started and chunk events, parse strictly, renew locks, keep an order, fail over, or look for what ran before.
                """, GOAL, RawLoop.BATCH, RawLoop.CONSUMERS);
        Bench.wrote(report.write());
        return new Measured(our, ratio, Spread.of(ours.stream().mapToDouble(Run::ownMicros)));
    }

    private static String[] row(String name, Spread perSecond, List<Run> runs) {
        return new String[] {
            name,
            perSecond.text(0),
            Spread.of(runs.stream().mapToDouble(Run::records)).text(1),
            Spread.of(runs.stream().mapToDouble(Run::ownMicros)).text(0),
            Spread.of(runs.stream().mapToDouble(Run::brokerMicros)).text(0)
        };
    }
}
