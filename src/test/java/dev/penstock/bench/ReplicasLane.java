package dev.penstock.bench;

import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Bursts of 160 jobs of 2 s for two replicas that share 128 slots: how long they take, and how the replicas share them. */
final class ReplicasLane {
    private static final int ROUNDS = 1;
    private static final int JOBS = 160;
    private static final int JOB_MILLIS = 2000;
    private static final int SLOTS = 2 * Stage.SLOTS;
    private static final double IDEAL_SECONDS = Math.ceilDiv(JOBS, SLOTS) * JOB_MILLIS / 1000.0;

    private final Stage stage;
    private final Options options;
    private final Map<Variant, Found> found = new LinkedHashMap<>();

    private ReplicasLane(Stage stage, Options options) {
        this.stage = stage;
        this.options = options;
    }

    static void run(Options options) throws InterruptedException, IOException {
        try (Stage stage = Stage.open()) {
            new ReplicasLane(stage, options).measure(options.rounds().orElse(ROUNDS));
        }
    }

    /** Two replicas of a variant. */
    private record Pair(Running one, PenstockProcess other) implements AutoCloseable {
        long completedByOther() throws InterruptedException {
            return ParkedWatch.sum(Metrics.text(other), "penstock_jobs_total");
        }

        boolean isShared() throws InterruptedException {
            return slots(one.process()) == Stage.SLOTS && slots(other) == Stage.SLOTS;
        }

        private static int slots(PenstockProcess process) throws InterruptedException {
            return ParkedWatch.sum(Metrics.text(process), "penstock_node_slots");
        }

        @Override
        public void close() {
            other.close();
        }
    }

    private void measure(int rounds) throws InterruptedException, IOException {
        Report report = new Report("replicas", rounds, settings());
        List<Pair> pairs = new ArrayList<>();
        try (RunningAll running = RunningAll.start(
                stage, Variant.built(options.variants()), options.warmUp(), variant -> builder(variant, "one"))) {
            try {
                for (Running one : running.all()) {
                    pairs.add(pair(one));
                }
                // the first burst does not count: the second replica is new
                for (int burst = 0; burst <= rounds * options.bursts(); burst++) {
                    for (Pair pair : pairs) {
                        burst(report, pair, burst);
                    }
                }
                print(report, running.all(), rounds * options.bursts());
            } finally {
                pairs.forEach(Pair::close);
            }
        }
    }

    /** Two replicas cannot share a SQLite ledger. */
    private PenstockProcess.Builder builder(Variant variant, String which) {
        return stage.builder(variant, "replicas-" + variant + "-" + which, stage.fakeUrl(), SLOTS)
                .config("penstock.ledger.kind", "none");
    }

    private Pair pair(Running one) throws InterruptedException {
        Pair pair = new Pair(one, stage.start(one.variant(), builder(one.variant(), "other"), 2));
        try {
            Stage.until(pair::isShared, "the replicas of %s do not share the slots".formatted(one.variant()));
            one.warmUp(options.warmUp());
            return pair;
        } catch (IllegalStateException | InterruptedException e) {
            pair.close();
            throw e;
        }
    }

    private Map<String, Object> settings() {
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put("jobs", JOBS);
        settings.put("job_ms", JOB_MILLIS);
        settings.put("slots", SLOTS);
        settings.put("ideal_s", IDEAL_SECONDS);
        settings.put("warm_up_jobs", options.warmUp());
        settings.put("spread", options.spread());
        return settings;
    }

    private void burst(Report report, Pair pair, int number) throws InterruptedException {
        Variant variant = pair.one().variant();
        Tally tally = pair.one().tally();
        tally.reset();
        long before = pair.completedByOther();
        Burst burst;
        try (ParkedWatch watch = ParkedWatch.begin(
                pair.one().process().managementUrl(), pair.other().managementUrl())) {
            long begun = System.nanoTime();
            new Work("burst" + number, JOBS, _ -> "[[tokens=1 first=%d]]".formatted(JOB_MILLIS), 0)
                    .send(stage.bootstrap(), variant.jobs(), options.where());
            long ended = tally.await(JOBS);
            burst = new Burst((ended - begun) / 1e9, watch.samples());
        }
        pair.one().awaitNothingLeft();
        long others = pair.completedByOther() - before;
        long fewer = Math.min(others, JOBS - others);
        Map<String, Object> sample = new LinkedHashMap<>(burst.json());
        sample.put("burst", number);
        sample.put("counts", number > 0);
        sample.put("variant", variant.toString());
        sample.put("jobs_of_the_replica_with_fewer", fewer);
        sample.put("load_average", Report.load());
        report.sample(sample);
        Bench.progress("replicas %s burst %d%s: %.2f s, %d and %d jobs, load %.1f"
                .formatted(
                        variant,
                        number,
                        number == 0 ? " (does not count)" : "",
                        burst.seconds(),
                        JOBS - others,
                        others,
                        Report.load()));
        if (number > 0) {
            Found into = found.computeIfAbsent(variant, _ -> new Found());
            into.add("seconds", burst.seconds());
            into.add("fewer", (double) fewer);
            into.add("parked_most", burst.parkedMost());
            into.add("parked_job_seconds", burst.parkedJobSeconds());
        }
    }

    private void print(Report report, List<Running> running, int bursts) throws IOException, InterruptedException {
        Table table = new Table("", "s", "jobs of the replica with fewer", "parked at most", "parked, job-s");
        table.row("ideal", "%.1f".formatted(IDEAL_SECONDS), Integer.toString(JOBS / 2), "0", "0");
        found.forEach((variant, of) -> {
            report.summary(variant.toString(), of.summary());
            table.row(
                    variant.toString(),
                    of.cell("seconds", 2),
                    of.cell("fewer", 0),
                    of.cell("parked_most", 0),
                    of.cell("parked_job_seconds", 1));
        });
        System.out.printf(
                Locale.ROOT,
                "%nreplicas: two replicas with %d slots together, bursts of %d jobs of %d ms, to %s; median of %d bursts "
                        + "(min..max); load %.1f%nparked: waiting at one replica while the other had a free slot%n%n%s%n",
                SLOTS,
                JOBS,
                JOB_MILLIS,
                options.spread(),
                bursts,
                Report.load(),
                table);
        for (Running each : running) {
            Footprint footprint = Footprint.of(stage, each);
            report.summary(each.variant() + " footprint", footprint);
            System.out.println(each.variant() + ", one replica: " + footprint.text());
        }
        Bench.wrote(report.write());
    }
}
