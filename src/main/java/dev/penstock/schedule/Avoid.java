package dev.penstock.schedule;

import java.time.Instant;
import java.util.Map;
import java.util.Set;

/**
 * The nodes that the next attempt of a job avoids.
 *
 * @param useless the nodes that cannot serve the job
 * @param notBefore the nodes at which the job failed, each with the time from which it may serve the job again; other
 *     nodes are preferred
 */
public record Avoid(Set<String> useless, Map<String, Instant> notBefore) {
    public static final Avoid NOTHING = new Avoid(Set.of(), Map.of());

    public Avoid {
        useless = Set.copyOf(useless);
        notBefore = Map.copyOf(notBefore);
    }
}
