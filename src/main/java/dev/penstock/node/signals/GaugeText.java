package dev.penstock.node.signals;

import java.util.OptionalDouble;
import java.util.stream.DoubleStream;

/**
 * Gauges in the text format of Prometheus: one sample on each line, as {@code name{labels} value}, with an optional time
 * after the value. A server with several engines or models has a sample for each.
 */
record GaugeText(String text) {
    /** Returns the sum of a gauge's samples; empty if there is none. */
    OptionalDouble sum(String name) {
        double[] samples = samples(name).toArray();
        return samples.length == 0
                ? OptionalDouble.empty()
                : OptionalDouble.of(DoubleStream.of(samples).sum());
    }

    /** Returns the largest of a gauge's samples; empty if there is none. */
    OptionalDouble largest(String name) {
        return samples(name).max();
    }

    private DoubleStream samples(String name) {
        return text.lines()
                .filter(line -> line.startsWith(name))
                .map(line -> line.substring(name.length()))
                .filter(rest -> rest.startsWith("{") || rest.startsWith(" ") || rest.startsWith("\t"))
                .mapToDouble(GaugeText::value)
                .filter(Double::isFinite);
    }

    /** @return NaN if the line has no number where the value belongs */
    private static double value(String rest) {
        // a label's value may have a space or a brace, but the line's last brace ends the labels
        String value = rest.substring(rest.lastIndexOf('}') + 1).strip().split("\\s", 2)[0];
        try {
            return Double.parseDouble(value);
        } catch (NumberFormatException _) {
            return Double.NaN;
        }
    }
}
