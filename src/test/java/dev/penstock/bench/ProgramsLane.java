package dev.penstock.bench;

import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.TestEnvironment;
import dev.penstock.testkit.Vitals;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;

/** Compares the jar with the native executable: the time to start, the resources, and the throughput. */
final class ProgramsLane {
    private static final int ROUNDS = 5;
    private static final int JOBS = 10_000;
    private static final int STREAMS = 64;
    private static final String PROMPT = "[[tokens=400 delay=20]]";
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final long LOOK_NANOS = 2_000_000;

    private final Path program;
    private final Stage stage;
    private final HttpClient http =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private ProgramsLane(Path program, Stage stage) {
        this.program = program;
        this.stage = stage;
    }

    /** The results of one program; times in milliseconds, memory in MiB. */
    private record Measured(
            Spread answers, Spread ready, int idle, int streaming, double size, Spread perSecond, Spread ownMicros) {}

    static void run(Options options) throws InterruptedException, IOException {
        int rounds = options.rounds().orElse(ROUNDS);
        int jobs = options.jobs().orElse(JOBS);
        Report report = new Report("programs", rounds, Map.of("jobs", jobs, "streams", STREAMS, "heap", "-Xmx512m"));
        Table table = new Table(
                "",
                "HTTP answers, ms",
                "takes jobs, ms",
                "idle, MiB",
                "64 streams, MiB",
                "on disk, MB",
                "jobs/s",
                "own CPU us/job");
        for (Map.Entry<String, Path> each : programs().entrySet()) {
            try (Stage stage = Stage.open()) {
                Measured measured = new ProgramsLane(each.getValue(), stage).measure(rounds, jobs);
                report.summary(each.getKey(), measured);
                table.row(
                        each.getKey(),
                        measured.answers().text(0),
                        measured.ready().text(0),
                        Integer.toString(measured.idle()),
                        Integer.toString(measured.streaming()),
                        "%.0f".formatted(measured.size()),
                        measured.perSecond().text(0),
                        measured.ownMicros().text(0));
            }
        }
        System.out.printf(
                Locale.ROOT,
                "%nprograms: SQLite ledger, -Xmx512m, topics there already; %,d instant jobs of 1 kB; median of %d (min..max); "
                        + "memory is what is resident%n%n%s",
                jobs,
                rounds,
                table);
        Bench.wrote(report.write());
    }

    private static Map<String, Path> programs() {
        Map<String, Path> programs = new LinkedHashMap<>();
        programs.put("JVM", TestEnvironment.buildDir().resolve("quarkus-app").resolve("quarkus-run.jar"));
        programs.put("native", TestEnvironment.buildDir().resolve("penstock-runner"));
        programs.values().stream().filter(path -> !Files.exists(path)).forEach(path -> {
            throw new IllegalStateException("there is no " + path + ": `make build native` makes both");
        });
        return programs;
    }

    private Measured measure(int rounds, int jobs) throws InterruptedException {
        // creates the topics
        builder("first").startReady().close();
        List<Double> answers = new ArrayList<>();
        List<Double> ready = new ArrayList<>();
        for (int round = 0; round < rounds; round++) {
            long begun = System.nanoTime();
            try (PenstockProcess process = builder("start-" + round).start()) {
                awaitAnswer(process.url().resolve("/q/openapi"));
                answers.add((System.nanoTime() - begun) / 1e6);
                awaitAnswer(process.managementUrl().resolve("/q/health/ready"));
                ready.add((System.nanoTime() - begun) / 1e6);
            }
        }
        Tally tally = new Tally();
        try (PenstockProcess process = stage.penstock(builder("penstock"), Map.of());
                Arrivals _ = Arrivals.follow(stage.bootstrap(), "prompt-replies", tally)) {
            int idle = Vitals.of(process.pid()).residentMegabytes();
            int streaming = stream(process, tally);
            List<Double> perSecond = new ArrayList<>();
            List<Double> own = new ArrayList<>();
            for (int round = 0; round <= rounds; round++) {
                double cpu = Vitals.cpuMillis(process.pid());
                double seconds = instantJobs(process, tally, "round" + round, jobs);
                if (round > 0) {
                    perSecond.add(jobs / seconds);
                    own.add((Vitals.cpuMillis(process.pid()) - cpu) * 1000 / jobs);
                }
                Bench.progress("%s round %d%s: %.0f jobs/s"
                        .formatted(program.getFileName(), round, round == 0 ? " (warm-up)" : "", jobs / seconds));
            }
            return new Measured(
                    Spread.of(answers),
                    Spread.of(ready),
                    idle,
                    streaming,
                    megabytes(program),
                    Spread.of(perSecond),
                    Spread.of(own));
        }
    }

    private PenstockProcess.Builder builder(String name) {
        return stage.builder(name).executable(program).runtimeOption("-Xmx512m");
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

    /** @return the resident memory after the streams, in MiB; a process gives memory back late, if ever */
    private int stream(PenstockProcess process, Tally tally) throws InterruptedException {
        tally.reset();
        new Work("stream", STREAMS, _ -> PROMPT, 0).send(stage.bootstrap(), Stage.JOBS, Work.Where.EVEN);
        tally.await(STREAMS);
        int resident = Vitals.of(process.pid()).residentMegabytes();
        stage.awaitNothingLeft(Stage.GROUP);
        return resident;
    }

    private double instantJobs(PenstockProcess process, Tally tally, String name, int jobs)
            throws InterruptedException {
        tally.reset();
        try (Still still = Still.hold(process.pid())) {
            Work.instant(name, jobs).send(stage.bootstrap(), Stage.JOBS, Work.Where.EVEN);
            long begun = still.letGo();
            long ended = tally.await(jobs);
            stage.awaitNothingLeft(Stage.GROUP);
            return (ended - begun) / 1e9;
        }
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
