package dev.penstock.schedule;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Decides which waits make room for others, and when. A job keeps its place only while its obstacle is short. It makes
 * room
 *
 * <ul>
 *   <li>when all its nodes have been down for a while and others are up,
 *   <li>when more jobs wait for its full nodes than keep them busy while another node is idle: the jobs behind them in
 *       the topics may be for that node,
 *   <li>when it came on a deferred record, and the jobs of its topic hold all slots that they may: the deferred records
 *       of all topics come one after the other.
 * </ul>
 */
final class DeferralPolicy {
    /** How long a job waits for a full node without making room: it may block a consumer's batch. */
    static final long PATIENCE = Duration.ofMillis(300).toNanos();
    /** A deferred record blocks no consumer's batch, but other deferred records do not come while it is here. */
    static final long PATIENCE_OF_DEFERRED = Duration.ofSeconds(5).toNanos();
    /** As many jobs as started within this time may wait, so that no node is idle while the deferred ones are away. */
    static final long KEPT_FOR = Duration.ofSeconds(6).toNanos();
    /** One wait for so many slots is kept while another node is idle: each may block a consumer's batch. */
    static final int SLOTS_FOR_EACH_WAIT = 8;
    /** Starts grow old, and memory gets scarce, without an event. */
    static final long LOOK_AGAIN = Duration.ofSeconds(1).toNanos();

    private static final long NEVER = Long.MAX_VALUE;
    private static final Comparator<Wait> IN_ORDER =
            Comparator.comparing(Wait::priority).thenComparingLong(Wait::turn);

    private final long park;
    private final int kept;
    private final Map<RouteKey, OfKey> byKey = new HashMap<>();
    /** The waits without a slot whose patience has not ended yet, by its end. */
    private final TreeSet<Wait> patient =
            new TreeSet<>(Comparator.comparingLong(DeferralPolicy::patienceEnds).thenComparingLong(Wait::turn));

    private final Map<String, TreeSet<Wait>> impatientDeferredByTopic = new HashMap<>();
    private final ArrayDeque<Start> starts = new ArrayDeque<>();
    private final Map<RouteKey, Integer> startsByKey = new HashMap<>();
    private long looksAgain = NEVER;

    private record Start(RouteKey key, long time) {}

    /** The waits of one route key. */
    private static final class OfKey {
        private final TreeSet<Wait> impatient = new TreeSet<>(IN_ORDER);
        /** Those that an outage defers, the longest wait first. */
        private final TreeSet<Wait> parked =
                new TreeSet<>(Comparator.comparingLong(Wait::since).thenComparingLong(Wait::turn));

        private Placement.Outage outage;
        private int waits;

        private OfKey(Placement.Outage outage) {
            this.outage = outage;
        }
    }

    /**
     * @param park how long a job waits for nodes that are down while others are up
     * @param slots the number of the replica's slots
     */
    DeferralPolicy(Duration park, int slots) {
        this.park = park.toNanos();
        kept = Math.max(1, slots / SLOTS_FOR_EACH_WAIT);
    }

    /** The waits for full nodes while another one is idle. */
    record Pressure(Collection<RouteKey> fullKeys, Collection<String> fullTopics, boolean anyIdle) {}

    /** @param outage asked for where the wait is the first of its key */
    void joined(Wait wait, Function<RouteKey, Placement.Outage> outage) {
        OfKey ofKey = byKey.computeIfAbsent(wait.key(), key -> new OfKey(outage.apply(key)));
        ofKey.waits++;
        ofKey.parked.add(wait);
        if (!wait.holdsSlot()) {
            patient.add(wait);
        }
    }

    void left(Wait wait) {
        OfKey ofKey = byKey.get(wait.key());
        if (ofKey == null) {
            return;
        }
        ofKey.waits--;
        ofKey.parked.remove(wait);
        ofKey.impatient.remove(wait);
        patient.remove(wait);
        impatientDeferredByTopic.computeIfPresent(wait.topic(), (_, deferred) -> {
            deferred.remove(wait);
            return deferred.isEmpty() ? null : deferred;
        });
        if (ofKey.waits == 0) {
            byKey.remove(wait.key());
        }
    }

    /** A job of that key goes to a node. */
    void started(RouteKey key, long now) {
        starts.add(new Start(key, now));
        startsByKey.merge(key, 1, Integer::sum);
    }

    /** The nodes have changed. */
    void reroute(Function<RouteKey, Placement.Outage> outage) {
        byKey.forEach((key, ofKey) -> ofKey.outage = outage.apply(key));
    }

    /** Must be called before the decisions: takes note of changes by time alone. */
    void passed(long now) {
        looksAgain = NEVER;
        while (!patient.isEmpty() && patienceEnds(patient.first()) <= now) {
            Wait wait = patient.removeFirst();
            Objects.requireNonNull(byKey.get(wait.key())).impatient.add(wait);
            if (wait.deferredRecord()) {
                impatientDeferredByTopic
                        .computeIfAbsent(wait.topic(), _ -> new TreeSet<>(IN_ORDER))
                        .add(wait);
            }
        }
        while (!starts.isEmpty() && starts.getFirst().time() < now - KEPT_FOR) {
            startsByKey.computeIfPresent(starts.removeFirst().key(), (_, count) -> count == 1 ? null : count - 1);
        }
    }

    /** The next wait that an outage of its nodes defers; null: none. */
    @Nullable
    Wait nextOfOutage(long now) {
        for (OfKey ofKey : byKey.values()) {
            while (outageEnds(ofKey) <= now) {
                Wait wait = ofKey.parked.removeFirst();
                if (!staysToItsEnd(wait, now)) {
                    return wait;
                }
            }
        }
        return null;
    }

    /**
     * The next wait that makes room for others; null: none.
     *
     * @param crowded whether the jobs in flight leave no memory for further ones: a few large jobs may be too many to
     *     wait
     */
    @Nullable
    Wait nextOfPressure(Pressure pressure, BooleanSupplier crowded, long now) {
        for (String topic : pressure.fullTopics()) {
            TreeSet<Wait> deferred = impatientDeferredByTopic.get(topic);
            if (deferred != null) {
                return deferred.last();
            }
        }
        OfKey fullest = null;
        int most = 0;
        if (pressure.anyIdle()) {
            for (RouteKey key : pressure.fullKeys()) {
                OfKey ofKey = byKey.get(key);
                if (ofKey == null || ofKey.impatient.isEmpty()) {
                    continue;
                }
                int tooMany =
                        ofKey.waits - Math.max(crowded.getAsBoolean() ? 1 : kept, startsByKey.getOrDefault(key, 0));
                if (tooMany > most || (tooMany == most && fullest != null && isLater(ofKey, fullest))) {
                    fullest = ofKey;
                    most = tooMany;
                } else if (ofKey.waits > 1) {
                    looksAgain = now + LOOK_AGAIN;
                }
            }
        }
        return fullest == null ? null : fullest.impatient.last();
    }

    private static boolean isLater(OfKey one, OfKey other) {
        return IN_ORDER.compare(one.impatient.last(), other.impatient.last()) > 0;
    }

    /** When time alone may cause the next decision. */
    long nextTime() {
        long next = Math.min(looksAgain, patient.isEmpty() ? NEVER : patienceEnds(patient.first()));
        for (OfKey ofKey : byKey.values()) {
            next = Math.min(next, outageEnds(ofKey));
        }
        return next;
    }

    private long outageEnds(OfKey ofKey) {
        if (ofKey.parked.isEmpty()) {
            return NEVER;
        }
        return switch (ofKey.outage) {
            case Placement.Outage.None() -> NEVER;
            case Placement.Outage.Since(long time) -> time + park;
            // whether there is such a node at all is not known
            case Placement.Outage.NeverUp() -> ofKey.parked.first().since() + park;
        };
    }

    /** A deferred record whose time is over before it could come back stays: deferred anew, it would come again at once. */
    private static boolean staysToItsEnd(Wait wait, long now) {
        return wait.deferredRecord() && wait.end() - now <= Delay.SHORT.length().toNanos();
    }

    private static long patienceEnds(Wait wait) {
        return wait.since() + (wait.deferredRecord() ? PATIENCE_OF_DEFERRED : PATIENCE);
    }
}
