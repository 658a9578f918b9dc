package dev.penstock.schedule;

import dev.penstock.route.RouteKey;
import dev.penstock.tenant.Tenants;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Decides which waiting jobs make room for other jobs, and when. A job keeps its queue entry only while its obstacle is
 * short. A job makes room in four cases:
 *
 * <ul>
 *   <li>All its nodes have been down or paused for a while, and other nodes are up.
 *   <li>Its topic has been paused for a while.
 *   <li>Its nodes are full, more jobs wait for these nodes than are needed to keep them busy, and another node is idle.
 *       Later records in the topics may be jobs for the idle node.
 *   <li>It has waited for a while, and its tenant has reached a limit.
 *   <li>It arrived on a deferred record, and the jobs of its topic hold all slots that they may hold. The deferred
 *       records of all topics arrive one after the other, so this job would delay the jobs of other topics.
 * </ul>
 */
final class DeferralPolicy {
    /**
     * How long a job waits for a full node before it makes room. The time is short, because the job may block a
     * consumer's batch.
     */
    static final long PATIENCE = Duration.ofMillis(300).toNanos();
    /**
     * How long a job on a deferred record waits before it makes room. This time is longer, because a deferred record
     * blocks no consumer's batch. It is limited, because no other deferred record arrives while this one is in flight.
     */
    static final long PATIENCE_OF_DEFERRED = Duration.ofSeconds(5).toNanos();
    /**
     * For each route key, the number of waiting jobs may equal the number of jobs that started within this time. So no
     * node becomes idle while other jobs are deferred.
     */
    static final long KEPT_FOR = Duration.ofSeconds(6).toNanos();
    /**
     * While another node is idle, each route key keeps one waiting job for every 8 slots of the replica. More waiting
     * jobs could block the batches of consumers.
     */
    static final int SLOTS_FOR_EACH_WAIT = 8;
    /**
     * How often the policy decides again without an event. This is necessary because no event reports that starts grow
     * old or that memory becomes scarce.
     */
    static final long LOOK_AGAIN = Duration.ofSeconds(1).toNanos();

    private static final long NEVER = Long.MAX_VALUE;
    private static final Comparator<Wait> IN_ORDER =
            Comparator.comparing(Wait::priority).thenComparingLong(Wait::turn);

    private static final Comparator<Wait> LONGEST_FIRST =
            Comparator.comparingLong(Wait::since).thenComparingLong(Wait::turn);

    private final long park;
    private final int kept;
    private final Tenants tenants;
    /** The waiting jobs without a slot of each tenant with a limit, the one with the longest wait first. */
    private final Map<String, TreeSet<Wait>> byLimitedTenant = new HashMap<>();

    private final Map<RouteKey, OfKey> byKey = new HashMap<>();
    /** The waiting jobs without a slot whose patience has not ended yet, ordered by the time when it ends. */
    private final TreeSet<Wait> patient =
            new TreeSet<>(Comparator.comparingLong(DeferralPolicy::patienceEnds).thenComparingLong(Wait::turn));

    /** The waiting jobs without a slot that a pause of their topic defers, the one with the longest wait first. */
    private final Map<String, TreeSet<Wait>> unstartedByTopic = new HashMap<>();

    private Map<String, Long> paused = Map.of();
    private final Map<String, TreeSet<Wait>> impatientDeferredByTopic = new HashMap<>();
    private final ArrayDeque<Start> starts = new ArrayDeque<>();
    private final Map<RouteKey, Integer> startsByKey = new HashMap<>();
    private long looksAgain = NEVER;
    /** The next time at which a job has waited long enough for its tenant's limit. */
    private long limitEnds = NEVER;

    private record Start(RouteKey key, long time) {}

    /** The waiting jobs of one route key. */
    private static final class OfKey {
        private final TreeSet<Wait> impatient = new TreeSet<>(IN_ORDER);
        /** The jobs that an outage defers, the one with the longest wait first. */
        private final TreeSet<Wait> parked = new TreeSet<>(LONGEST_FIRST);

        private Placement.Outage outage;
        private int waits;

        private OfKey(Placement.Outage outage) {
            this.outage = outage;
        }
    }

    /**
     * @param park how long a job waits for nodes that are down while other nodes are up, for its paused topic, and for a
     *     tenant at a limit
     * @param slots the number of the replica's slots
     */
    DeferralPolicy(Duration park, int slots, Tenants tenants) {
        this.tenants = tenants;
        this.park = park.toNanos();
        kept = Math.max(1, slots / SLOTS_FOR_EACH_WAIT);
    }

    /**
     * The route keys whose nodes are full, the topics whose jobs hold all their slots, and whether any node is idle.
     */
    record Pressure(Collection<RouteKey> fullKeys, Collection<String> fullTopics, boolean anyIdle) {}

    /**
     * Adds a wait.
     *
     * @param outage finds the outage of a route key; called only if no other job with this route key waits
     */
    void joined(Wait wait, Function<RouteKey, Placement.Outage> outage) {
        OfKey ofKey = byKey.computeIfAbsent(wait.key(), key -> new OfKey(outage.apply(key)));
        ofKey.waits++;
        ofKey.parked.add(wait);
        if (!wait.holdsSlot()) {
            patient.add(wait);
            unstartedByTopic
                    .computeIfAbsent(wait.topic(), _ -> new TreeSet<>(LONGEST_FIRST))
                    .add(wait);
            if (tenants.isLimited(wait.tenant())) {
                byLimitedTenant
                        .computeIfAbsent(wait.tenant(), _ -> new TreeSet<>(LONGEST_FIRST))
                        .add(wait);
            }
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
        remove(unstartedByTopic, wait);
        remove(impatientDeferredByTopic, wait);
        byLimitedTenant.computeIfPresent(wait.tenant(), (_, waits) -> {
            waits.remove(wait);
            return waits.isEmpty() ? null : waits;
        });
        if (ofKey.waits == 0) {
            byKey.remove(wait.key());
        }
    }

    private static <S extends Set<Wait>> void remove(Map<String, S> byTopic, Wait wait) {
        byTopic.computeIfPresent(wait.topic(), (_, waits) -> {
            waits.remove(wait);
            return waits.isEmpty() ? null : waits;
        });
    }

    /** Sets the paused topics, each with the time since when it is paused. */
    void pause(Map<String, Long> topics) {
        paused = Map.copyOf(topics);
    }

    /** Records that a job with this route key starts at a node. */
    void started(RouteKey key, long now) {
        starts.add(new Start(key, now));
        startsByKey.merge(key, 1, Integer::sum);
    }

    /** Updates the outages after a change of the nodes. */
    void reroute(Function<RouteKey, Placement.Outage> outage) {
        byKey.forEach((key, ofKey) -> ofKey.outage = outage.apply(key));
    }

    /** Applies the changes that the passing of time causes. It must be called before each decision. */
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

    /** Returns the next job to defer because its nodes are down; null if there is none. */
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

    /** Returns the next job to defer because its topic is paused; null if there is none. */
    @Nullable
    Wait nextOfPause(long now) {
        for (String topic : paused.keySet()) {
            while (pauseEnds(topic) <= now) {
                Wait wait = Objects.requireNonNull(unstartedByTopic.get(topic)).removeFirst();
                if (!staysToItsEnd(wait, now)) {
                    return wait;
                }
            }
        }
        return null;
    }

    /** Returns the next job to defer because its tenant has reached a limit; null if there is none. */
    @Nullable
    Wait nextOfTenantLimit(long now) {
        limitEnds = NEVER;
        for (TreeSet<Wait> waits : byLimitedTenant.values()) {
            boolean isAtLimit =
                    !waits.isEmpty() && !tenants.mayStart(waits.first().tenant(), Schedule.millis(now));
            while (isAtLimit && !waits.isEmpty()) {
                Wait longest = waits.first();
                if (longest.since() + park > now) {
                    limitEnds = Math.min(limitEnds, longest.since() + park);
                    break;
                }
                waits.remove(longest);
                if (!staysToItsEnd(longest, now)) {
                    return longest;
                }
            }
        }
        return null;
    }

    /** Returns when the job of a paused topic with the longest wait is deferred. */
    private long pauseEnds(String topic) {
        TreeSet<Wait> unstarted = unstartedByTopic.get(topic);
        Long since = paused.get(topic);
        return unstarted == null || unstarted.isEmpty() || since == null
                ? NEVER
                : Math.max(unstarted.first().since(), since) + park;
    }

    /**
     * Returns the next job that makes room for other jobs; null if there is none.
     *
     * @param crowded tests whether the jobs in flight leave no memory for further jobs; if so, even a few large waiting
     *     jobs may be too many
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

    /** Returns the time at which the next decision may become due without an event. */
    long nextTime() {
        long next =
                Math.min(Math.min(looksAgain, limitEnds), patient.isEmpty() ? NEVER : patienceEnds(patient.first()));
        for (OfKey ofKey : byKey.values()) {
            next = Math.min(next, outageEnds(ofKey));
        }
        for (String topic : paused.keySet()) {
            next = Math.min(next, pauseEnds(topic));
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
            // the nodes in question were never up, so the time counts from the start of the oldest wait
            case Placement.Outage.NeverUp() -> ofKey.parked.first().since() + park;
        };
    }

    /**
     * Returns whether a job on a deferred record waits until its time is over. Its time ends before the shortest delay
     * does, so if it were deferred again, it would return at once.
     */
    private static boolean staysToItsEnd(Wait wait, long now) {
        return wait.deferredRecord() && wait.end() - now <= Delay.SHORT.length().toNanos();
    }

    private static long patienceEnds(Wait wait) {
        return wait.since() + (wait.deferredRecord() ? PATIENCE_OF_DEFERRED : PATIENCE);
    }
}
