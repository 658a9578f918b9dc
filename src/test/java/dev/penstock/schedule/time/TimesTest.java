package dev.penstock.schedule.time;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import org.junit.jupiter.api.Test;

class TimesTest {
    private static final Instant NOW = Instant.parse("2026-12-01T09:00:00Z");

    private final Times times = new Times(Clock.fixed(NOW, ZoneOffset.UTC), () -> 5);

    @Test
    void a_time_of_the_wall_clock_becomes_nanoseconds() {
        assertThat(times.of(NOW.plusSeconds(2))).isEqualTo(2_000_000_005L);
        assertThat(times.of(NOW.minusSeconds(2))).isEqualTo(-1_999_999_995L);
    }

    @Test
    void a_deadline_in_the_year_9999_counts_as_one_in_100_years() {
        long far = Duration.ofDays(36_500).toNanos();

        assertThat(times.of(Instant.parse("9999-12-31T23:59:59Z"))).isEqualTo(far + 5);
        assertThat(times.of(Instant.EPOCH.minus(Duration.ofDays(200_000)))).isEqualTo(-far + 5);
    }
}
