package dev.penstock.bench;

import java.io.IOException;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;

/** What it costs to give a free slot to the first job that can use it, by how many wait. */
final class GrantsLane {
    private GrantsLane() {}

    static void run(Options options) throws IOException {
        ChainedOptionsBuilder jmh = new OptionsBuilder()
                .include(GrantBenchmark.class.getName())
                .verbosity(VerboseMode.SILENT)
                .shouldFailOnError(true);
        options.rounds().ifPresent(jmh::measurementIterations);
        Collection<RunResult> results;
        try {
            results = new Runner(jmh.build()).run();
        } catch (RunnerException e) {
            throw new IOException(e);
        }
        Report report = new Report("grants", options.rounds().orElse(0), Map.of());
        Table table = new Table("jobs that wait", "µs a grant", "median", "95 %");
        List<RunResult> inOrder = results.stream()
                .sorted(Comparator.comparingInt(GrantsLane::waiting))
                .toList();
        for (RunResult result : inOrder) {
            Result<?> found = result.getPrimaryResult();
            double median = found.getStatistics().getPercentile(50);
            double most = found.getStatistics().getPercentile(95);
            report.sample(Map.of(
                    "waiting", waiting(result), "mean_us", found.getScore(), "median_us", median, "p95_us", most));
            table.row(Integer.toString(waiting(result)), micros(found.getScore()), micros(median), micros(most));
        }
        System.out.println();
        System.out.println(
                "One grant: a node's slot is freed, the first job that can use it gets it; 100 nodes, 21 route keys");
        System.out.print(table);
        Bench.wrote(report.write());
    }

    private static int waiting(RunResult result) {
        return Integer.parseInt(result.getParams().getParam("waiting"));
    }

    private static String micros(double value) {
        return String.format(Locale.ROOT, "%.1f", value);
    }
}
