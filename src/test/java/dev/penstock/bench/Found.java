package dev.penstock.bench;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** All samples of one shape by measurement, each in its own unit. */
final class Found {
    private final Map<String, List<Double>> samples = new LinkedHashMap<>();

    void add(String what, double sample) {
        samples.computeIfAbsent(what, _ -> new ArrayList<>()).add(sample);
    }

    /** Returns the text for a table; a dash if there is no sample. */
    String cell(String what, int decimals) {
        List<Double> known = samples.getOrDefault(what, List.of());
        return switch (known.size()) {
            case 0 -> "-";
            case 1 -> String.format(Locale.ROOT, "%." + decimals + "f", known.getFirst());
            default -> Spread.of(known).text(decimals);
        };
    }

    Map<String, Spread> summary() {
        Map<String, Spread> summary = new LinkedHashMap<>();
        samples.forEach((what, all) -> summary.put(what, Spread.of(all)));
        return summary;
    }
}
