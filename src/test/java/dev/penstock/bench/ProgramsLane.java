package dev.penstock.bench;

import dev.penstock.testkit.PenstockProcess;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;

/**
 * Compares programs and share clients: the time to start with three job topics, what a replica holds when idle and with
 * 64 streams, and the throughput.
 */
final class ProgramsLane {
    private static final int ROUNDS = 5;
    private static final int JOBS = 10_000;
    private static final int STREAMS = 64;
    private static final String PROMPT = "[[tokens=400 delay=20]]";
    private static final String HEAP = "-Xmx512m";
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final long LOOK_NANOS = 2_000_000;
    /** A process is idle this long before its memory counts. */
    private static final Duration SETTLES = Duration.ofSeconds(5);

    private final Stage stage;
    private final int rounds;
    private final int jobs;
    private final int warmUp;
    private final Map<Variant, Found> found = new LinkedHashMap<>();
    private final Map<Variant, Footprint> idle = new LinkedHashMap<>();
    private final Map<Variant, Footprint> streaming = new LinkedHashMap<>();
    private final HttpClient http =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private ProgramsLane(Stage stage, Options options) {
        this.stage = stage;
        rounds = options.rounds().orElse(ROUNDS);
        jobs = options.jobs().orElse(JOBS);
        warmUp = options.warmUp();
    }

    static void run(Options options) throws InterruptedException, IOException {
        try (Stage stage = Stage.open()) {
            new ProgramsLane(stage, options).measure(Variant.built(options.variants()));
        }
    }

    private void measure(List<Variant> variants) throws InterruptedException, IOException {
        Report report = new Report(
                "programs", rounds, Map.of("jobs", jobs, "streams", STREAMS, "heap", HEAP, "warm_up_jobs", warmUp));
        for (Variant variant : variants) {
            found.put(variant, new Found());
            // creates the topics and groups
            builder(variant).startReady().close();
            stage.awaitLeft(group(variant));
        }
        for (int round = 1; round <= rounds; round++) {
            for (Variant variant : variants) {
                start(variant, round);
            }
        }
        for (Variant variant : variants) {
            try (Running running = Running.start(stage, variant, builder(variant))) {
                hold(running);
                throughput(running);
            }
        }
        print(report);
    }

    /** Each start of a variant has the ledger of the start before, like a replica that starts again. */
    private PenstockProcess.Builder builder(Variant variant) {
        return stage.builder(variant, "programs-" + variant, stage.fakeUrl(), 2 * Stage.SLOTS)
                .runtimeOption(HEAP);
    }

    private static String group(Variant variant) {
        return variant.group(variant.jobs());
    }

    /** Starts a process while a job waits for it. */
    private void start(Variant variant, int round) throws InterruptedException {
        CompletableFuture<Long> started = new CompletableFuture<>();
        Tally tally = new Tally();
        try (Arrivals _ = Arrivals.follow(stage.bootstrap(), variant.replies(), (record, nanos) -> {
            started.complete(nanos);
            tally.arrived(record, nanos);
        })) {
            new Work("first" + round, 1, _ -> "", 0).send(stage.bootstrap(), variant.jobs(), Work.Where.EVEN);
            long begun = System.nanoTime();
            try (PenstockProcess process = builder(variant).start()) {
                awaitAnswer(process.url().resolve("/q/openapi"));
                double answers = (System.nanoTime() - begun) / 1e6;
                awaitAnswer(process.managementUrl().resolve("/q/health/ready"));
                double ready = (System.nanoTime() - begun) / 1e6;
                double first = (arrival(started) - begun) / 1e6;
                tally.await(1);
                stage.awaitNothingLeft(group(variant));
                Found into = found.computeIfAbsent(variant, _ -> new Found());
                into.add("answers", answers);
                into.add("ready", ready);
                into.add("first job", first);
                Bench.progress(
                        "programs round %d: %s answers after %.0f ms, is ready after %.0f, took a job after %.0f; load %.1f"
                                .formatted(round, variant, answers, ready, first, Report.load()));
            }
        }
        stage.awaitLeft(group(variant));
    }

    private static long arrival(CompletableFuture<Long> started) throws InterruptedException {
        try {
            return started.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        } catch (ExecutionException | TimeoutException e) {
            throw new IllegalStateException("the first job has not started", e);
        }
    }

    private void awaitAnswer(URI address) throws InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(address).build();
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (System.nanoTime() < until) {
            try {
                if (http.send(request, HttpResponse.BodyHandlers.discarding()).statusCode() == 200) {
                    return;
                }
            } catch (IOException _) {
                // not there yet
            }
            LockSupport.parkNanos(LOOK_NANOS);
        }
        throw new IllegalStateException(address + " has not answered within " + PATIENCE);
    }

    /** Notes what a replica holds when it is idle, and after streams. A process gives memory back late, if ever. */
    private void hold(Running running) throws InterruptedException {
        Variant variant = running.variant();
        Thread.sleep(SETTLES);
        idle.put(variant, Footprint.of(stage, running));
        running.tally().reset();
        new Work("stream", STREAMS, _ -> PROMPT, 0).send(stage.bootstrap(), variant.jobs(), Work.Where.EVEN);
        running.tally().await(STREAMS);
        streaming.put(variant, Footprint.of(stage, running));
        running.awaitNothingLeft();
    }

    private void throughput(Running running) throws InterruptedException {
        running.warmUp(warmUp);
        Found into = found.computeIfAbsent(running.variant(), _ -> new Found());
        for (int round = 1; round <= rounds; round++) {
            double cpu = running.cpuMillis();
            double perSecond = jobs / instantJobs(running, "round" + round);
            into.add("jobs/s", perSecond);
            into.add("own us/job", (running.cpuMillis() - cpu) * 1000 / jobs);
            Bench.progress("programs round %d: %s %.0f jobs/s".formatted(round, running.variant(), perSecond));
        }
    }

    private double instantJobs(Running running, String name) throws InterruptedException {
        running.tally().reset();
        try (Still still = Still.hold(running.process().pid())) {
            Work.instant(name, jobs).send(stage.bootstrap(), running.variant().jobs(), Work.Where.EVEN);
            long begun = still.letGo();
            long ended = running.tally().await(jobs);
            running.awaitNothingLeft();
            return (ended - begun) / 1e9;
        }
    }

    private void print(Report report) throws IOException {
        Table table = new Table(
                "",
                "HTTP answers, ms",
                "ready, ms",
                "first job, ms",
                "idle, MiB",
                "threads",
                "connections",
                "members",
                "64 streams, MiB",
                "threads",
                "on disk, MB",
                "jobs/s",
                "own us/job");
        found.forEach((variant, of) -> {
            Footprint rest = idle.getOrDefault(variant, Footprint.UNKNOWN);
            Footprint busy = streaming.getOrDefault(variant, Footprint.UNKNOWN);
            report.summary(variant.toString(), of.summary());
            report.summary(variant + " idle", rest);
            report.summary(variant + " after 64 streams", busy);
            table.row(
                    variant.toString(),
                    of.cell("answers", 0),
                    of.cell("ready", 0),
                    of.cell("first job", 0),
                    Integer.toString(rest.resident()),
                    Integer.toString(rest.threads()),
                    Integer.toString(rest.connections()),
                    rest.members(),
                    Integer.toString(busy.resident()),
                    Integer.toString(busy.threads()),
                    "%.0f".formatted(megabytes(variant.path())),
                    of.cell("jobs/s", 0),
                    of.cell("own us/job", 0));
        });
        table.row("goal, native", "", "", "1000", "100", "40", "", "1 1 1", "", "", "", "", "300");
        System.out.printf(
                Locale.ROOT,
                "%nprograms: SQLite ledger, %s, three job topics that are there already; first job: from the start of the process "
                        + "until the event `started` of a job that waits; %,d instant jobs of 1 kB after %,d; median of %d (min..max); "
                        + "memory is what is resident; load %.1f%n%n%s",
                HEAP,
                jobs,
                warmUp,
                rounds,
                Report.load(),
                table);
        Bench.wrote(report.write());
    }

    /** Returns the size of the executable; for a jar, with all files that must be beside it. */
    private static double megabytes(Path program) {
        Path all = program.toString().endsWith(".jar") ? program.getParent() : program;
        try (Stream<Path> files = Files.walk(all)) {
            return files.filter(Files::isRegularFile)
                            .mapToLong(file -> file.toFile().length())
                            .sum()
                    / 1e6;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
