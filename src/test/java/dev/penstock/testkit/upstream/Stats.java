package dev.penstock.testkit.upstream;

import java.util.Map;

/**
 * The counts of a {@link FakeUpstream} since its start or the last reset. All but {@code all} and {@code perPath}
 * count only generating requests, so that probes do not disturb a test.
 *
 * @param connections accepted
 * @param all requests of every kind
 * @param perPath requests of every kind
 * @param requests generating requests
 * @param inFlight those without an answer yet
 * @param maxInFlight the most that ran at once
 * @param cancelled the client closed the connection before the end
 * @param dropped the server closed it before the end
 * @param tokens written, or for an answer that is not streamed, generated
 */
public record Stats(
        long connections,
        long all,
        Map<String, Long> perPath,
        long requests,
        int inFlight,
        int maxInFlight,
        long finished,
        long cancelled,
        long dropped,
        long tokens) {
    public Stats {
        perPath = Map.copyOf(perPath);
    }

    public long on(String path) {
        return perPath.getOrDefault(path, 0L);
    }
}
