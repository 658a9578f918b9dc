package dev.penstock.bench;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Reads from the metrics of two replicas, every 100 ms, how many jobs wait and run there. */
final class ParkedWatch implements AutoCloseable {
    static final int PERIOD_MILLIS = 100;

    private final HttpClient http =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().daemon().name("parked-watch").factory());
    private final URI one;
    private final URI other;
    private final long begunNanos = System.nanoTime();

    /** Guarded by itself. */
    private final List<Sample> samples = new ArrayList<>();

    private ParkedWatch(URI one, URI other) {
        this.one = one;
        this.other = other;
    }

    /** Jobs of one replica. */
    record Load(int waiting, int running) {}

    /** @param millis since the watch began */
    record Sample(long millis, Load one, Load other) {
        /** Returns the jobs that wait at one replica and could run at the other. */
        int parked() {
            return Math.min(one.waiting, Math.max(0, Stage.SLOTS - other.running))
                    + Math.min(other.waiting, Math.max(0, Stage.SLOTS - one.running));
        }
    }

    /** @param one the address of a management port */
    static ParkedWatch begin(URI one, URI other) {
        ParkedWatch watch = new ParkedWatch(one.resolve("/q/metrics"), other.resolve("/q/metrics"));
        var _ = watch.timer.scheduleAtFixedRate(watch::sample, 0, PERIOD_MILLIS, TimeUnit.MILLISECONDS);
        return watch;
    }

    private void sample() {
        try {
            Sample sample = new Sample((System.nanoTime() - begunNanos) / 1_000_000, load(one), load(other));
            synchronized (samples) {
                samples.add(sample);
            }
        } catch (IOException e) {
            Bench.progress("a replica does not tell its metrics: " + e);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    private Load load(URI metrics) throws IOException, InterruptedException {
        String text = http.send(HttpRequest.newBuilder(metrics).build(), HttpResponse.BodyHandlers.ofString())
                .body();
        return new Load(sum(text, "penstock_jobs_waiting"), sum(text, "penstock_jobs_in_flight"));
    }

    /** Adds up all labels. */
    static int sum(String metrics, String name) {
        return (int) metrics.lines()
                .filter(line -> line.startsWith(name + "{") || line.startsWith(name + " "))
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1)))
                .sum();
    }

    List<Sample> samples() {
        synchronized (samples) {
            return List.copyOf(samples);
        }
    }

    @Override
    public void close() {
        timer.shutdownNow();
    }
}
