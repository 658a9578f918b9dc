package dev.penstock.bench;

import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.stream.DoubleStream;

/** The median of some samples and their range, in the samples' own unit. */
record Spread(double median, double min, double max, int samples) {
    static Spread of(DoubleStream samples) {
        return of(samples.boxed().toList());
    }

    static Spread of(Collection<Double> samples) {
        return new Spread(percentile(samples, 50), percentile(samples, 0), percentile(samples, 100), samples.size());
    }

    /** @param percent 0 to 100; values between two samples are interpolated */
    static double percentile(Collection<Double> samples, double percent) {
        List<Double> sorted = samples.stream().sorted().toList();
        if (sorted.isEmpty()) {
            throw new IllegalArgumentException("no samples");
        }
        double place = percent / 100 * (sorted.size() - 1);
        int below = (int) Math.floor(place);
        int above = Math.min(sorted.size() - 1, below + 1);
        return sorted.get(below) + (place - below) * (sorted.get(above) - sorted.get(below));
    }

    /** Returns the text for a table: {@code median (min..max)}. */
    String text(int decimals) {
        String number = "%." + decimals + "f";
        return String.format(Locale.ROOT, number + " (" + number + ".." + number + ")", median, min, max);
    }
}
