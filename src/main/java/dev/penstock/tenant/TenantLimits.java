package dev.penstock.tenant;

import java.util.OptionalInt;

/**
 * The weight and the limits of one tenant. The limits hold for all replicas together. An empty limit is no limit.
 *
 * @param weight the tenant's share of the served tokens while other tenants wait, relative to their weights; at least 1
 * @param maxInFlight the maximum number of jobs that run at once
 * @param requestsPerMinute the maximum number of jobs that begin in a minute
 * @param tokensPerMinute the maximum number of tokens, of prompts and answers, in a minute
 */
public record TenantLimits(
        int weight, OptionalInt maxInFlight, OptionalInt requestsPerMinute, OptionalInt tokensPerMinute) {
    /** A tenant that is not configured. */
    public static final TenantLimits NONE =
            new TenantLimits(1, OptionalInt.empty(), OptionalInt.empty(), OptionalInt.empty());

    /** Returns whether the tenant has any limit. */
    public boolean isLimited() {
        return maxInFlight.isPresent() || requestsPerMinute.isPresent() || tokensPerMinute.isPresent();
    }
}
