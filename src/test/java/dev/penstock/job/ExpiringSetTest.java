package dev.penstock.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class ExpiringSetTest {
    private static final Instant START = Instant.parse("2026-05-01T12:00:00Z");

    @Test
    void a_look_at_many_values_of_which_none_is_due_looks_at_one() {
        ExpiringSet<Integer> set = new ExpiringSet<>();
        for (int i = 0; i < 100_000; i++) {
            set.add(i, START.plusMillis(1 + i * 7919L % 100_000));
        }

        assertThat(set.forget(START)).isEqualTo(1);
        assertThat(set.size()).isEqualTo(100_000);
        assertThat(set.forget(START.plusMillis(50_001))).isEqualTo(50_001);
        assertThat(set.size()).isEqualTo(50_000);
    }

    @Test
    void a_value_is_kept_until_its_latest_end() {
        ExpiringSet<String> set = new ExpiringSet<>();
        set.add("twice", START.plusSeconds(1));
        set.add("twice", START.plusSeconds(10));
        set.add("twice", START.plusSeconds(5));
        set.add("once", START.plusSeconds(5));

        set.forget(START.plusSeconds(7));

        assertThat(set.contains("twice")).isTrue();
        assertThat(set.contains("once")).isFalse();
        set.forget(START.plus(Duration.ofSeconds(11)));
        assertThat(set.contains("twice")).isFalse();
        assertThat(set.size()).isZero();
    }
}
