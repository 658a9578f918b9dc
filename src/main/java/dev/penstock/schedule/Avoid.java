package dev.penstock.schedule;

import java.time.Instant;
import java.util.Map;
import java.util.Set;

/**
 * The nodes that the next attempt of a job avoids.
 *
 * @param useless nodes that cannot serve the job
 * @param notBefore nodes that failed the job, and from when on each may serve it again; other nodes come first
 */
public record Avoid(Set<String> useless, Map<String, Instant> notBefore) {
    public static final Avoid NOTHING = new Avoid(Set.of(), Map.of());

    public Avoid {
        useless = Set.copyOf(useless);
        notBefore = Map.copyOf(notBefore);
    }
}
