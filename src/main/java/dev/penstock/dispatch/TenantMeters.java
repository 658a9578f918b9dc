package dev.penstock.dispatch;

import io.micrometer.core.instrument.config.MeterFilter;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;

/** Records may set their tenants themselves. Beyond so many tenants, further ones share one series. */
@Singleton
final class TenantMeters {
    static final int MOST = 200;

    @Produces
    @Singleton
    static MeterFilter limit() {
        return MeterFilter.maximumAllowableTags("penstock.tenant", "tenant", MOST, MeterFilter.deny());
    }
}
