package dev.penstock.settings.source;

import io.smallrye.config.WithDefault;
import java.util.Optional;

/** The weight and the limits of a tenant. The limits hold for all replicas together. */
public interface TenantConfig {
    /** The tenant's share of the served tokens while other tenants wait, relative to their weights. */
    @WithDefault("1")
    int weight();

    /** The maximum number of the tenant's jobs that run at once. Default: no limit. */
    Optional<Integer> maxInFlight();

    /** The maximum number of the tenant's jobs that start in a minute. Default: no limit. */
    Optional<Integer> requestsPerMinute();

    /** The maximum number of the tenant's tokens, of prompts and answers, in a minute. Default: no limit. */
    Optional<Integer> tokensPerMinute();
}
