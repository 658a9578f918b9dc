package dev.penstock.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.OptionalDouble;
import java.util.function.DoublePredicate;

/** Reads the service's own metrics, in the form for Prometheus. */
public final class Metrics {
    private static final HttpClient HTTP =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private Metrics() {}

    /** Returns all metrics as text. */
    public static String text(PenstockProcess penstock) throws InterruptedException {
        try {
            HttpRequest request = HttpRequest.newBuilder(
                            penstock.managementUrl().resolve("/q/metrics"))
                    .build();
            return HTTP.send(request, HttpResponse.BodyHandlers.ofString()).body();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** @param name with its labels, as at the beginning of the line */
    public static OptionalDouble value(PenstockProcess penstock, String name) throws InterruptedException {
        return text(penstock)
                .lines()
                .filter(line -> line.startsWith(name + " "))
                .mapToDouble(
                        line -> Double.parseDouble(line.substring(name.length()).strip()))
                .findFirst();
    }

    public static void await(PenstockProcess penstock, String name, double wanted, Duration patience)
            throws InterruptedException {
        var _ = await(penstock, name, "is " + wanted, value -> value == wanted, patience);
    }

    /** @return the first matching value */
    public static double await(
            PenstockProcess penstock, String name, String what, DoublePredicate fits, Duration patience)
            throws InterruptedException {
        long until = System.nanoTime() + patience.toNanos();
        OptionalDouble value = value(penstock, name);
        while (value.isEmpty() || !fits.test(value.getAsDouble())) {
            if (System.nanoTime() > until) {
                throw new AssertionError("%s %s: not after %s, but %s".formatted(name, what, patience, value));
            }
            Thread.sleep(50);
            value = value(penstock, name);
        }
        return value.getAsDouble();
    }
}
