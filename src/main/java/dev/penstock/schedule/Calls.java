package dev.penstock.schedule;

import dev.penstock.job.JobFailure;
import dev.penstock.tenant.Tenants;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The direct calls that wait for a node, and which of them are refused. A call is never deferred, because its caller
 * waits. It is refused in three cases:
 *
 * <ul>
 *   <li>Its tenant has reached a limit.
 *   <li>No node that may serve it is up.
 *   <li>It cannot start at once, and as many calls wait as may wait.
 * </ul>
 *
 * Not thread-safe.
 */
final class Calls {
    private final int most;
    private final Tenants tenants;
    /** By turn, in the order of the joins. */
    private final Map<Long, Wait> waiting = new LinkedHashMap<>();
    /** The calls whose nodes have not been looked at since they joined, or since the nodes changed. */
    private final ArrayDeque<Wait> unchecked = new ArrayDeque<>();
    /** The calls that have not had a node yet, of each tenant with a limit. */
    private final Map<String, TreeSet<Wait>> byLimitedTenant = new HashMap<>();
    /** The call that joined since the last decision and has not had a node yet; null if there is none. */
    private @Nullable Wait newest;

    /** @param most the largest number of calls that wait */
    Calls(int most, Tenants tenants) {
        this.most = most;
        this.tenants = tenants;
    }

    void joined(Wait wait) {
        waiting.put(wait.turn(), wait);
        unchecked.add(wait);
        if (!wait.holdsSlot()) {
            newest = wait;
            if (tenants.isLimited(wait.tenant())) {
                byLimitedTenant
                        .computeIfAbsent(wait.tenant(), _ -> new TreeSet<>(Wait.BY_DEADLINE))
                        .add(wait);
            }
        }
    }

    void left(Wait wait) {
        waiting.remove(wait.turn(), wait);
        newest = wait.equals(newest) ? null : newest;
        byLimitedTenant.computeIfPresent(wait.tenant(), (_, waits) -> {
            waits.remove(wait);
            return waits.isEmpty() ? null : waits;
        });
    }

    /** Notes a change of the nodes or of their states. */
    void rerouted() {
        unchecked.clear();
        unchecked.addAll(waiting.values());
    }

    /** Returns the next call that is refused because of its tenant or its nodes; null if there is none. */
    @Nullable
    Decision refused(Placement placement, long now) {
        for (TreeSet<Wait> waits : byLimitedTenant.values()) {
            if (!tenants.mayStart(waits.last().tenant(), Schedule.millis(now))) {
                return refused(waits.last(), overLimit(waits.last().tenant(), now));
            }
        }
        Wait wait;
        while ((wait = unchecked.pollFirst()) != null) {
            if (wait.equals(waiting.get(wait.turn()))) {
                Optional<JobFailure> failure = wait.equals(newest) && hasNoRoom(wait, now)
                        ? Optional.of(overLimit(wait.tenant(), now))
                        : placement.noneUp(wait).map(Calls::soon);
                if (failure.isPresent()) {
                    return refused(wait, failure.get());
                }
            }
        }
        return null;
    }

    /** Returns whether the calls of the tenant that wait already are as many as may start. */
    private boolean hasNoRoom(Wait wait, long now) {
        TreeSet<Wait> waits = byLimitedTenant.get(wait.tenant());
        return waits != null && tenants.room(wait.tenant(), Schedule.millis(now)) < waits.size();
    }

    /** Returns the call that joined last if it has to wait and the line is full; null otherwise. Nothing else starts now. */
    @Nullable
    Decision surplus() {
        Wait last = newest;
        newest = null;
        return last == null || waiting.size() <= most
                ? null
                : refused(
                        last,
                        soon(JobFailure.of(
                                JobFailure.Code.RATE_LIMITED,
                                "%d calls wait for a node in this replica, and no more may wait (penstock.admission.max-waiting)"
                                        .formatted(waiting.size() - 1))));
    }

    private JobFailure overLimit(String tenant, long now) {
        long millis = Schedule.millis(now);
        Duration opens = Duration.ofMillis(tenants.opensInMillis(tenant, millis));
        String words = tenants.obstacle(tenant, millis)
                .orElseGet(() -> "tenant '%s' has as many calls waiting as may start now: %d"
                        .formatted(tenant, tenants.room(tenant, millis)));
        return JobFailure.of(JobFailure.Code.RATE_LIMITED, words)
                .with(opens.isZero() ? JobFailure.Again.SOON : new JobFailure.Again(opens, false));
    }

    private static JobFailure soon(JobFailure failure) {
        return failure.with(JobFailure.Again.SOON);
    }

    private static Decision refused(Wait wait, JobFailure failure) {
        return new Decision.End(wait, new Admission.Refused(failure));
    }
}
