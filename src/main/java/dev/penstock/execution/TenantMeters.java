package dev.penstock.execution;

import io.micrometer.core.instrument.config.MeterFilter;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;

/**
 * Limits the tenants in the metrics, because records may set their tenants themselves. Metrics show at most {@link
 * #MOST} tenants.
 */
@Singleton
final class TenantMeters {
    static final int MOST = 200;

    @Produces
    @Singleton
    static MeterFilter limit() {
        return MeterFilter.maximumAllowableTags("penstock.tenant", "tenant", MOST, MeterFilter.deny());
    }
}
