package dev.penstock.schedule;

import dev.penstock.job.Priority;
import java.util.HashSet;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;

/**
 * One wait of a queue entry. All times are nanoseconds on the scheduler's own scale, which begins at 0.
 *
 * @param turn the entry's place among those of its priority; no two entries have the same
 * @param topic the job's topic, whose share of the replica's slots the entry needs
 * @param deferredRecord whether the job came on a deferred record
 * @param holdsSlot whether the entry holds one of the replica's slots from an earlier wait
 * @param since when the wait began
 * @param end when the wait is over, whatever happens
 * @param useless nodes that cannot serve the job
 * @param notBefore nodes that failed the job, and from when on each may serve it again
 */
record Wait(
        long turn,
        RouteKey key,
        Priority priority,
        String topic,
        boolean deferredRecord,
        boolean holdsSlot,
        long since,
        long end,
        Set<String> useless,
        Map<String, Long> notBefore) {
    Wait {
        useless = Set.copyOf(useless);
        notBefore = Map.copyOf(notBefore);
    }

    /** Whether the wait avoids no node. */
    boolean avoidsNothing() {
        return useless.isEmpty() && notBefore.isEmpty();
    }

    /** Whether a node has not failed the job. */
    boolean isFresh(String node) {
        return !useless.contains(node) && !notBefore.containsKey(node);
    }

    /** Whether a node that failed the job may serve it again. */
    boolean isAgain(String node, long now) {
        Long from = notBefore.get(node);
        return from != null && !useless.contains(node) && from <= now;
    }

    /** The nodes that the job cannot go to now. */
    Set<String> closed(long now) {
        if (avoidsNothing()) {
            return Set.of();
        }
        Set<String> closed = new HashSet<>(useless);
        notBefore.forEach((node, from) -> {
            if (from > now) {
                closed.add(node);
            }
        });
        return closed;
    }

    /** When the job may next go to a node that is closed now. */
    OptionalLong nextOpening(long now) {
        return notBefore.values().stream()
                .mapToLong(Long::longValue)
                .filter(from -> from > now)
                .min();
    }
}
