package dev.penstock.tenant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class FairShareTest {
    private static final long HALF_LIFE = FairShare.HALF_LIFE_MILLIS;

    private final FairShare service = new FairShare();

    @Test
    void the_tenant_with_the_least_goes_first() {
        service.enter("a", 0);
        service.enter("b", 0);
        assertThat(service.compare("a", "b")).isZero();

        service.charge("a", 100, 0);
        service.charge("b", 60, 0);
        assertThat(service.compare("b", "a")).isNegative();

        service.correct("a", 100, 20, 0);
        assertThat(service.compare("a", "b")).isNegative();
        assertThat(service.compare("a", "a")).isZero();
    }

    @Test
    void what_a_tenant_has_beyond_one_job_is_forgotten_by_half_in_a_minute() {
        service.enter("a", 0);
        service.enter("b", 0);
        service.charge("a", 200, 0);
        service.charge("a", 200, 0);
        service.charge("a", 200, 0);

        assertThat(service.lead("a", 0)).isEqualTo(600);
        assertThat(service.lead("a", HALF_LIFE)).isCloseTo(400, within(0.001));
        assertThat(service.lead("a", 3 * HALF_LIFE)).isCloseTo(250, within(0.001));
        assertThat(service.lead("a", 100 * HALF_LIFE)).as("its last job").isCloseTo(200, within(0.001));
    }

    @Test
    void a_tenant_that_used_little_for_hours_claims_little() {
        service.enter("idle", 0);
        service.enter("busy", 0);
        for (long now = 0; now < 200 * HALF_LIFE; now += 1_000) {
            service.charge("busy", 10, now);
        }

        assertThat(service.lead("busy", 200 * HALF_LIFE))
                .as("what it got in about the last minute and a half")
                .isBetween(600.0, 1_000.0);
    }

    @Test
    void a_new_tenant_begins_where_the_others_are() {
        service.enter("a", 0);
        service.charge("a", 1_000, 0);
        service.charge("a", 1_000, 0);
        service.enter("b", 0);

        assertThat(service.lead("a", 0)).isEqualTo(1_000);
    }

    @Test
    void a_tenant_that_is_away_for_a_moment_keeps_its_place() {
        service.enter("a", 0);
        service.enter("b", 0);
        service.charge("a", 1_000, 0);
        service.leave("b");
        service.enter("b", 10);
        assertThat(service.lead("a", 10)).isEqualTo(1_000);

        service.leave("a");
        service.enter("a", 10 + HALF_LIFE);
        assertThat(service.lead("a", 10 + HALF_LIFE)).isCloseTo(500, within(0.001));
    }

    @Test
    void a_tenant_that_was_away_for_long_begins_like_a_new_one() {
        service.enter("a", 0);
        service.enter("b", 0);
        service.charge("a", 100, 0);
        service.leave("b");
        for (long now = 1_000; now <= 20 * HALF_LIFE; now += 1_000) {
            service.charge("a", 100, now);
        }
        service.enter("b", 20 * HALF_LIFE);

        assertThat(service.lead("a", 20 * HALF_LIFE)).as("one job").isCloseTo(100, within(0.01));
    }
}
