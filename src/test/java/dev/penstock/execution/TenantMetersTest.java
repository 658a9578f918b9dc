package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import org.junit.jupiter.api.Test;

class TenantMetersTest {
    @Test
    void tenants_beyond_the_limit_make_no_further_series() {
        SimpleMeterRegistry meters = new SimpleMeterRegistry();
        meters.config().meterFilter(TenantMeters.limit());

        for (int i = 0; i < TenantMeters.MOST + 50; i++) {
            meters.counter("penstock.tenant.jobs", "tenant", "t" + i, "outcome", "completed")
                    .increment();
            meters.counter("penstock.jobs", "outcome", "o" + i).increment();
        }

        assertThat(meters.find("penstock.tenant.jobs").counters()).hasSize(TenantMeters.MOST);
        assertThat(meters.find("penstock.jobs").counters()).hasSize(TenantMeters.MOST + 50);
    }
}
