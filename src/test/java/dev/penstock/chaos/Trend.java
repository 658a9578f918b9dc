package dev.penstock.chaos;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The samples of one figure. It grows steadily if the median of each quarter is above the one before, and the last is
 * above the first by more than the allowance. The first fifth of the samples does not count: caches fill, and code is
 * compiled.
 */
final class Trend {
    private static final int QUARTERS = 4;
    private static final int WARM_UP_PART = 5;

    private final String name;
    private final double allowance;
    private final List<Double> samples = new ArrayList<>();

    /** @param allowance how much the figure may grow */
    Trend(String name, double allowance) {
        this.name = name;
        this.allowance = allowance;
    }

    void add(double sample) {
        samples.add(sample);
    }

    boolean growsSteadily() {
        List<Double> medians = medians();
        for (int i = 1; i < medians.size(); i++) {
            if (medians.get(i) <= medians.get(i - 1)) {
                return false;
            }
        }
        return medians.getLast() - medians.getFirst() > allowance;
    }

    private List<Double> medians() {
        List<Double> counted = samples.subList(samples.size() / WARM_UP_PART, samples.size());
        if (counted.size() < 2 * QUARTERS) {
            throw new IllegalStateException("too few samples of " + name + ": " + samples);
        }
        List<Double> medians = new ArrayList<>();
        for (int i = 0; i < QUARTERS; i++) {
            List<Double> quarter =
                    counted.subList(i * counted.size() / QUARTERS, (i + 1) * counted.size() / QUARTERS).stream()
                            .sorted()
                            .toList();
            medians.add(quarter.get(quarter.size() / 2));
        }
        return medians;
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder(name).append(", median of each quarter:");
        medians().forEach(median -> text.append(String.format(Locale.ROOT, " %.1f", median)));
        return text.append(String.format(Locale.ROOT, " (may grow by %.1f)", allowance))
                .toString();
    }
}
