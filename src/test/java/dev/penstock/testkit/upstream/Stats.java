package dev.penstock.testkit.upstream;

import java.util.Map;

/**
 * What a {@link FakeUpstream} has seen since its start or the last reset. All but {@code all} and {@code perPath} count
 * the generating requests only, so that probes do not disturb a test.
 *
 * @param connections accepted
 * @param all requests of every kind
 * @param perPath requests of every kind
 * @param requests to generate something
 * @param inFlight of these, not answered yet
 * @param maxInFlight the most that ran at once
 * @param cancelled the client closed the connection before the end
 * @param dropped the server did
 * @param tokens written, or where an answer is not streamed, generated
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
