package dev.penstock.schedule;

import dev.penstock.job.Priority;
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.schedule.slots.ReplicaSlots;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;

/**
 * One wait of a queue entry. All times are nanoseconds of the scheduler's clock, which starts at 0.
 *
 * @param turn the position of the entry among the entries of its priority; no two entries have the same turn
 * @param demand what the job asks of its node besides the key
 * @param tenant the job's tenant
 * @param topic the job's topic; the entry needs one of the replica's slots for this topic. It is {@link
 *     ReplicaSlots#NO_TOPIC} for a direct call
 * @param deferredRecord whether the job arrived on a deferred record
 * @param holdsSlot whether the entry holds one of the replica's slots from an earlier wait; for a direct call, whether it
 *     has had a node
 * @param since the time when the wait began
 * @param due the job's deadline; {@link #NEVER} if it has none
 * @param end the time when the wait ends at the latest
 * @param useless the nodes that cannot serve the job
 * @param notBefore the nodes at which the job failed, each with the time from which it may serve the job again
 */
record Wait(
        long turn,
        RouteKey key,
        Demand demand,
        Priority priority,
        String tenant,
        String topic,
        boolean deferredRecord,
        boolean holdsSlot,
        long since,
        long due,
        long end,
        Set<String> useless,
        Map<String, Long> notBefore) {
    static final long NEVER = Long.MAX_VALUE;

    /** The order of the waits of a tenant and a priority: earliest deadline first, then by turn. */
    static final Comparator<Wait> BY_DEADLINE =
            Comparator.comparingLong(Wait::due).thenComparingLong(Wait::turn);

    Wait {
        if (topic.equals(ReplicaSlots.NO_TOPIC) && deferredRecord) {
            throw new IllegalArgumentException("a direct call has no record");
        }
        useless = Set.copyOf(useless);
        notBefore = Map.copyOf(notBefore);
    }

    /** Returns whether a direct call waits. */
    boolean isCall() {
        return topic.equals(ReplicaSlots.NO_TOPIC);
    }

    /** Returns whether the wait avoids no node. */
    boolean avoidsNothing() {
        return useless.isEmpty() && notBefore.isEmpty();
    }

    /** Returns whether the job has not failed at a node. */
    boolean isFresh(String node) {
        return !useless.contains(node) && !notBefore.containsKey(node);
    }

    /** Returns whether the job has failed at a node that may serve it again now. */
    boolean isAgain(String node, long now) {
        Long from = notBefore.get(node);
        return from != null && !useless.contains(node) && from <= now;
    }

    /** Returns the nodes that the job cannot use now. */
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

    /** Returns the next time when the job may use a node that is closed to it now. */
    OptionalLong nextOpening(long now) {
        return notBefore.values().stream()
                .mapToLong(Long::longValue)
                .filter(from -> from > now)
                .min();
    }
}
