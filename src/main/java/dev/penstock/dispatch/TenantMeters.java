package dev.penstock.dispatch;

import io.micrometer.core.instrument.config.MeterFilter;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;

/** Records may name their tenants themselves: beyond so many, further ones are measured in no series of their own. */
@Singleton
final class TenantMeters {
    static final int MOST = 200;

    @Produces
    @Singleton
    static MeterFilter limit() {
        return MeterFilter.maximumAllowableTags("penstock.tenant", "tenant", MOST, MeterFilter.deny());
    }
}
