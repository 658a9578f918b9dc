package dev.penstock.bench;

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;

/** The time and the memory of one operation: parsing, writing an event, and a grant of the scheduler, and the decision where a job runs. */
final class JmhLane {
    private JmhLane() {}

    static void run(Options options) throws IOException {
        ChainedOptionsBuilder jmh = new OptionsBuilder()
                .include(ParserBenchmark.class.getName())
                .include(EventBenchmark.class.getName())
                .include(GrantBenchmark.class.getName())
                .include(DecisionBenchmark.class.getName())
                .param("waiting", "1000")
                .timeUnit(TimeUnit.NANOSECONDS)
                .addProfiler(GCProfiler.class)
                .verbosity(VerboseMode.SILENT)
                .shouldFailOnError(true);
        options.rounds().ifPresent(jmh::measurementIterations);
        Collection<RunResult> results;
        try {
            results = new Runner(jmh.build()).run();
        } catch (RunnerException e) {
            throw new IOException(e);
        }
        Report report = new Report("jmh", options.rounds().orElse(0), Map.of());
        Table table = new Table("operation", "ns", "bytes allocated");
        for (RunResult result : List.copyOf(results)) {
            String operation = result.getParams().getBenchmark().replaceFirst(".*\\.(\\w+)Benchmark", "$1");
            double nanos = result.getPrimaryResult().getScore();
            double bytes = Objects.requireNonNull(result.getSecondaryResults().get("gc.alloc.rate.norm"))
                    .getScore();
            report.sample(Map.of("operation", operation, "ns", nanos, "bytes", bytes));
            table.row(operation, text(nanos), text(bytes));
        }
        System.out.println();
        System.out.print(table);
        Bench.wrote(report.write());
    }

    private static String text(double value) {
        return String.format(Locale.ROOT, "%,.0f", value);
    }
}
