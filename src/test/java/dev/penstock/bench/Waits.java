package dev.penstock.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/** Times in milliseconds, round by round. */
final class Waits {
    private final List<List<Double>> rounds = new ArrayList<>();

    /** Adds a round. */
    void add(List<Double> millis) {
        rounds.add(List.copyOf(millis));
    }

    Spread percentile(double percent) {
        return Spread.of(rounds.stream().mapToDouble(round -> Spread.percentile(round, percent)));
    }

    /** Returns the difference of the same percentile, round by round. */
    Spread minus(Waits baseline, double percent) {
        List<Double> differences = new ArrayList<>();
        for (int i = 0; i < rounds.size(); i++) {
            differences.add(
                    Spread.percentile(rounds.get(i), percent) - Spread.percentile(baseline.rounds.get(i), percent));
        }
        return Spread.of(differences);
    }

    /** Returns the two cells of a table: the median and the 99th percentile. */
    String[] row(String name) {
        return new String[] {name, percentile(50).text(1), percentile(99).text(1)};
    }

    static <T> List<Double> millis(List<T> all, ToDoubleFunction<T> millis) {
        return all.stream().mapToDouble(millis).boxed().toList();
    }

    /** Returns the median and the 99th percentile of one round. */
    static String text(List<Double> millis) {
        return String.format(
                Locale.ROOT, "p50 %.1f p99 %.1f ms", Spread.percentile(millis, 50), Spread.percentile(millis, 99));
    }
}
