package dev.penstock.tenant;

import java.util.HashMap;
import java.util.Map;
import java.util.Objects;

/**
 * The service that each tenant got: its tokens, divided by its weight. The tenant with the least attained service goes
 * first. So tenants that always wait get tokens in the ratio of their weights. Each time is an argument, in milliseconds
 * of one clock. Not thread-safe.
 *
 * <p>No tenant can claim much for a time in which it used less than its share. A tenant begins at the service of the job
 * that started last. What a tenant has beyond the one with the least is forgotten, with a half-life. The amount of one job
 * is not forgotten while the tenant competes: otherwise a tenant with answers as long as the half-life would get more than
 * its share. The difference of a tenant that does not compete is forgotten too.
 */
public final class FairShare {
    /** The time after which half of a difference is forgotten. */
    static final long HALF_LIFE_MILLIS = 60_000;

    /** After this time, the difference of a tenant that does not compete is as good as forgotten. */
    private static final long FORGOTTEN_MILLIS = 20 * HALF_LIFE_MILLIS;

    private static final int MOST_AWAY = 1_000;
    /** How much of the longest job so far counts after a further job. */
    private static final double LONGEST_KEPT = 0.95;

    private final Map<String, Standing> present = new HashMap<>();
    private final Map<String, Away> away = new HashMap<>();
    /** The service, before its charge, of the tenant whose job started last. */
    private double current;

    private long latestMillis;

    /** A tenant that competes. */
    private static final class Standing {
        private double service;
        /** The service of its longest recent job. */
        private double longest;

        private Standing(double service, double longest) {
            this.service = service;
            this.longest = longest;
        }
    }

    /** A tenant that does not compete now. */
    private record Away(double lead, double longest, long sinceMillis) {}

    /** Lets a tenant compete. */
    public void enter(String tenant, long nowMillis) {
        advance(nowMillis);
        Away before = away.remove(tenant);
        present.put(
                tenant,
                before == null
                        ? new Standing(current, 0)
                        : new Standing(
                                current + before.lead() * kept(nowMillis - before.sinceMillis()), before.longest()));
    }

    /** Ends the competing of a tenant that has no jobs any more. */
    public void leave(String tenant) {
        Standing standing = present.remove(tenant);
        if (standing != null) {
            away.put(tenant, new Away(standing.service - current, standing.longest, latestMillis));
            if (away.size() > MOST_AWAY) {
                away.values().removeIf(each -> latestMillis - each.sinceMillis() > FORGOTTEN_MILLIS);
            }
        }
    }

    boolean isPresent(String tenant) {
        return present.containsKey(tenant);
    }

    /**
     * Charges a tenant that competes for a job that starts.
     *
     * @param amount the job's estimated tokens, divided by the tenant's weight
     */
    public void charge(String tenant, double amount, long nowMillis) {
        advance(nowMillis);
        Standing standing = standing(tenant);
        current = standing.service;
        standing.service += amount;
        standing.longest = Math.max(amount, standing.longest * LONGEST_KEPT);
    }

    /** Replaces the charge of a job by its actual amount. */
    public void correct(String tenant, double charged, double actual, long nowMillis) {
        advance(nowMillis);
        Standing standing = standing(tenant);
        standing.service += actual - charged;
        standing.longest = Math.max(actual, standing.longest);
    }

    /** Compares two tenants that compete; the one with the least service goes first. */
    public int compare(String one, String other) {
        return one.equals(other) ? 0 : Double.compare(standing(one).service, standing(other).service);
    }

    /** Returns what a tenant has beyond the tenant with the least service. */
    double lead(String tenant, long nowMillis) {
        advance(nowMillis);
        return standing(tenant).service - least();
    }

    private Standing standing(String tenant) {
        return Objects.requireNonNull(present.get(tenant), tenant);
    }

    private double least() {
        double least = Double.POSITIVE_INFINITY;
        for (Standing standing : present.values()) {
            least = Math.min(least, standing.service);
        }
        return least;
    }

    private void advance(long nowMillis) {
        if (nowMillis <= latestMillis) {
            return;
        }
        double kept = kept(nowMillis - latestMillis);
        latestMillis = nowMillis;
        double least = least();
        for (Standing standing : present.values()) {
            double tooMuch = standing.service - least - standing.longest;
            if (tooMuch > 0) {
                standing.service -= tooMuch * (1 - kept);
            }
        }
    }

    private static double kept(long millis) {
        return Math.pow(2, -millis / (double) HALF_LIFE_MILLIS);
    }
}
