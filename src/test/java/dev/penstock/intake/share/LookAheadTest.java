package dev.penstock.intake.share;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class LookAheadTest {
    private final LookAhead ahead = new LookAhead(0);
    private long now;

    /** Plays a second in which jobs end one by one. */
    private int after(int endsPerSecond, int capacity) {
        int last = 0;
        int ended = 0;
        for (int look = 1; look <= 100; look++) {
            now += 10;
            int due = endsPerSecond * look / 100;
            last = ahead.after(due - ended, capacity, now);
            ended = due;
        }
        return last;
    }

    @Test
    void long_jobs_have_the_least() {
        assertThat(after(0, 64)).isEqualTo(LookAhead.LEAST);
        // 64 jobs of 2 s
        assertThat(after(32, 64)).isEqualTo(LookAhead.LEAST);
    }

    @Test
    void short_jobs_have_those_of_a_tenth_of_a_second() {
        // 8 jobs of 50 ms
        assertThat(after(160, 8)).isBetween(15, 16);
        assertThat(after(400, 64)).isBetween(38, 43);
    }

    @Test
    void it_has_a_limit_and_falls_again() {
        assertThat(after(5_000, 64)).isEqualTo(128);
        assertThat(after(0, 64)).isEqualTo(LookAhead.LEAST);
    }

    @Test
    void a_replica_without_capacity_has_the_least() {
        assertThat(after(1_000, 0)).isEqualTo(LookAhead.LEAST);
    }
}
