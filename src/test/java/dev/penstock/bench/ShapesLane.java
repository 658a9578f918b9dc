package dev.penstock.bench;

import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Vitals;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/**
 * Compares numbers of intake consumers, and numbers of records that each takes at once, with the same work for each
 * shape.
 */
final class ShapesLane {
    private static final int ROUNDS = 1;
    private static final int WARM_UP = 3000;
    private static final int MIXED = 1500;
    private static final int ONE_PARTITION = 500;
    private static final int INSTANT = 20_000;
    private static final int BURST = 160;
    private static final int BURST_JOB_MILLIS = 2000;

    private final Stage stage;
    private final Options options;
    private final int[] mixedMillis;
    private final Map<Options.Shape, Found> found = new LinkedHashMap<>();
    private int turn;

    private ShapesLane(Stage stage, Options options) {
        this.stage = stage;
        this.options = options;
        mixedMillis = mixed(scaled(MIXED));
        options.shapes().forEach(shape -> found.put(shape, new Found()));
    }

    static void run(Options options) throws InterruptedException, IOException {
        try (Stage stage = Stage.open()) {
            new ShapesLane(stage, options).measure(options.rounds().orElse(ROUNDS));
        }
    }

    /** Returns times from 50 ms to 5 s, evenly on a logarithmic scale; always the same. */
    private static int[] mixed(int count) {
        Random random = new Random(1500);
        return random.doubles(count)
                .mapToInt(even -> (int) Math.round(50 * Math.pow(100, even)))
                .toArray();
    }

    private int scaled(int usual) {
        return Math.max(1, (int) Math.round(usual * options.size()));
    }

    private double mixedIdeal() {
        double sum = 0;
        double longest = 0;
        for (int millis : mixedMillis) {
            sum += millis / 1000.0;
            longest = Math.max(longest, millis / 1000.0);
        }
        return Math.max(longest, sum / Stage.SLOTS);
    }

    private double onePartitionIdeal() {
        return Math.max(1.0, (double) scaled(ONE_PARTITION) / Stage.SLOTS);
    }

    private double burstIdeal() {
        return Math.ceilDiv(scaled(BURST), 2 * Stage.SLOTS) * BURST_JOB_MILLIS / 1000.0;
    }

    private void measure(int rounds) throws InterruptedException, IOException {
        Report report = new Report("shapes", rounds, settings());
        for (int round = 1; round <= rounds; round++) {
            for (Options.Shape shape : options.shapes()) {
                Map<String, Object> sample = new LinkedHashMap<>();
                sample.put("round", round);
                sample.put("shape", shape.toString());
                measure(shape, sample);
                report.sample(sample);
                Bench.progress("shapes "
                        + sample.entrySet().stream()
                                .filter(entry -> !entry.getKey().equals("bursts"))
                                .map(entry -> entry.getKey() + "=" + entry.getValue())
                                .toList());
            }
        }
        print(report, rounds);
    }

    private Map<String, Object> settings() {
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put("slots", Stage.SLOTS);
        settings.put("partitions", Stage.PARTITIONS);
        settings.put("parts", options.parts());
        settings.put("spread", options.spread());
        settings.put("a_jobs", mixedMillis.length);
        settings.put("a_ideal_s", mixedIdeal());
        settings.put("b_jobs", scaled(ONE_PARTITION));
        settings.put("b_ideal_s", onePartitionIdeal());
        settings.put("c_jobs", options.jobs().orElse(INSTANT));
        settings.put("d_jobs", scaled(BURST));
        settings.put("d_ideal_s", burstIdeal());
        return settings;
    }

    private void measure(Options.Shape shape, Map<String, Object> sample) throws InterruptedException {
        List<PenstockProcess> replicas = new ArrayList<>();
        try {
            PenstockProcess one = stage.penstock("penstock-one", shape.config());
            replicas.add(one);
            Tally tally = new Tally();
            try (Arrivals _ = Arrivals.follow(stage.bootstrap(), "prompt-replies", tally)) {
                new Part(shape, tally, sample).single(one);
                if (options.parts().contains("d")) {
                    PenstockProcess other = stage.penstock("penstock-other", shape.config());
                    replicas.add(other);
                    new Part(shape, tally, sample).pair(one, other);
                }
            }
        } finally {
            stage.leave(replicas);
        }
    }

    /** The parts for one shape. */
    private final class Part {
        private final Found into;
        private final Tally tally;
        private final Map<String, Object> sample;

        Part(Options.Shape shape, Tally tally, Map<String, Object> sample) {
            into = found.getOrDefault(shape, new Found());
            this.tally = tally;
            this.sample = sample;
        }

        private void note(String what, double value) {
            into.add(what, value);
            sample.put(what, value);
        }

        void single(PenstockProcess penstock) throws InterruptedException {
            live(Work.instant(name("warm"), WARM_UP));
            if (options.parts().contains("a")) {
                Work mixed = new Work(
                        name("a"), mixedMillis.length, i -> "[[tokens=1 first=%d]]".formatted(mixedMillis[i]), 0);
                note("a_seconds", laidOut(penstock, mixed, options.where()));
            }
            if (options.parts().contains("b")) {
                Work seconds = new Work(name("b"), scaled(ONE_PARTITION), _ -> "[[tokens=1 first=1000]]", 0);
                note("b_seconds", laidOut(penstock, seconds, Work.Where.FIRST_PARTITION));
            }
            if (options.parts().contains("c")) {
                int jobs = options.jobs().orElse(INSTANT);
                note("c_jobs_per_second", jobs / laidOut(penstock, Work.instant(name("c"), jobs), options.where()));
            }
            Vitals vitals = Vitals.of(penstock.pid());
            note("threads", vitals.threads());
            note("resident_mb", vitals.residentMegabytes());
        }

        /** The first burst does not count: the second replica is new. */
        void pair(PenstockProcess one, PenstockProcess other) throws InterruptedException {
            live(Work.instant(name("warm"), WARM_UP));
            List<Map<String, Object>> bursts = new ArrayList<>();
            for (int burst = 0; burst <= options.bursts(); burst++) {
                try (ParkedWatch watch = ParkedWatch.begin(one.managementUrl(), other.managementUrl())) {
                    double seconds = live(new Work(
                            name("d"), scaled(BURST), _ -> "[[tokens=1 first=%d]]".formatted(BURST_JOB_MILLIS), 0));
                    if (burst > 0) {
                        bursts.add(note(new Burst(seconds, watch.samples())));
                    }
                }
            }
            sample.put("bursts", bursts);
        }

        private Map<String, Object> note(Burst burst) {
            into.add("d_seconds", burst.seconds());
            into.add("d_parked_most", burst.parkedMost());
            into.add("d_parked_job_seconds", burst.parkedJobSeconds());
            return burst.json();
        }

        /** @return seconds from the release of a process whose work was ready */
        private double laidOut(PenstockProcess penstock, Work work, Work.Where where) throws InterruptedException {
            tally.reset();
            try (Still still = Still.hold(penstock.pid())) {
                work.send(stage.bootstrap(), Stage.JOBS, where);
                long begun = still.letGo();
                return finish(work, begun);
            }
        }

        /** @return seconds from the first produce */
        private double live(Work work) throws InterruptedException {
            tally.reset();
            long begun = System.nanoTime();
            work.send(stage.bootstrap(), Stage.JOBS, options.where());
            return finish(work, begun);
        }

        private double finish(Work work, long begun) throws InterruptedException {
            long ended = tally.await(work.count());
            stage.awaitNothingLeft(Stage.GROUP);
            if (tally.again() > 0) {
                Bench.progress("%s: %d jobs ran twice".formatted(work.name(), tally.again()));
            }
            return (ended - begun) / 1e9;
        }

        private String name(String part) {
            return part + turn++;
        }
    }

    private void print(Report report, int rounds) throws IOException {
        Table table = new Table(
                "consumers x batch",
                "a: mixed, s",
                "b: one partition, s",
                "c: instant, jobs/s",
                "d: two replicas, s",
                "d: parked at most",
                "d: parked, job-s",
                "threads",
                "resident MB");
        table.row(
                "ideal",
                decimal(mixedIdeal()),
                decimal(onePartitionIdeal()),
                "",
                decimal(burstIdeal()),
                "0",
                "0",
                "",
                "");
        found.forEach((shape, of) -> {
            report.summary(shape.toString(), of.summary());
            table.row(
                    shape.toString(),
                    of.cell("a_seconds", 1),
                    of.cell("b_seconds", 1),
                    of.cell("c_jobs_per_second", 0),
                    of.cell("d_seconds", 1),
                    of.cell("d_parked_most", 0),
                    of.cell("d_parked_job_seconds", 1),
                    of.cell("threads", 0),
                    of.cell("resident_mb", 0));
        });
        System.out.printf(
                Locale.ROOT,
                "%nshapes: %d slots, %d partitions, jobs to %s; %d rounds, median (min..max)%n%n%s%n"
                        + "a: %d jobs of 50 ms to 5 s. b: %d jobs of 1 s on one partition. d: bursts of %d jobs of 2 s; parked: waiting at%n"
                        + "one replica while the other had a free slot. Threads and memory after a to c, one replica.%n",
                Stage.SLOTS,
                Stage.PARTITIONS,
                options.spread(),
                rounds,
                table,
                mixedMillis.length,
                scaled(ONE_PARTITION),
                scaled(BURST));
        Bench.wrote(report.write());
    }

    private static String decimal(double value) {
        return String.format(Locale.ROOT, "%.1f", value);
    }
}
