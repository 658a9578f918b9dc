package dev.penstock.bench;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A burst of jobs for two replicas.
 *
 * @param seconds from the first produce to the last outcome
 * @param samples the jobs at the two replicas meanwhile
 */
record Burst(double seconds, List<ParkedWatch.Sample> samples) {
    Burst {
        samples = List.copyOf(samples);
    }

    /** Returns the most jobs that waited at one replica while the other had a free slot. */
    int parkedMost() {
        return samples.stream().mapToInt(ParkedWatch.Sample::parked).max().orElse(0);
    }

    double parkedJobSeconds() {
        return samples.stream()
                .mapToDouble(sample -> sample.parked() * ParkedWatch.PERIOD_MILLIS / 1000.0)
                .sum();
    }

    Map<String, Object> json() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("seconds", seconds);
        json.put("parked_most", parkedMost());
        json.put("parked_job_seconds", parkedJobSeconds());
        json.put("samples", samples);
        return json;
    }
}
