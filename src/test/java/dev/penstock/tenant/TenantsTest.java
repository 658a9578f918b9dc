package dev.penstock.tenant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class TenantsTest {
    private static final OptionalInt NO = OptionalInt.empty();

    /** A job that runs, and when it ends. */
    private record Running(long turn, String tenant, long end) {}

    /**
     * Plays tenants that always wait, at nodes with so many slots.
     *
     * @param answers the tokens of each tenant's answers; a node writes 20 tokens in a second
     * @return the tokens of each tenant
     */
    private static Map<String, Long> play(
            Map<String, TenantLimits> limits, Map<String, Integer> answers, int slots, long minutes) {
        Tenants tenants = new Tenants(limits);
        answers.keySet().forEach(tenant -> tenants.joined(tenant, 0));
        List<Running> running = new ArrayList<>();
        Map<String, Long> served = new HashMap<>();
        long turn = 0;
        for (long now = 0; now < minutes * 60_000; now += 50) {
            for (Running over : List.copyOf(running)) {
                if (over.end() <= now) {
                    running.remove(over);
                    int tokens = answers.getOrDefault(over.tenant(), 0);
                    tenants.used(over.turn(), 10, tokens, now);
                    tenants.ended(over.turn());
                    served.merge(over.tenant(), (long) tokens, Long::sum);
                }
            }
            while (running.size() < slots) {
                long at = now;
                String next = answers.keySet().stream()
                        .filter(tenant -> tenants.mayStart(tenant, at))
                        .min(tenants::compare)
                        .orElse(null);
                if (next == null) {
                    break;
                }
                tenants.granted(++turn, next, 40, now);
                running.add(new Running(turn, next, now + 50L * answers.getOrDefault(next, 0)));
            }
        }
        return served;
    }

    private static TenantLimits weight(int weight) {
        return new TenantLimits(weight, NO, NO, NO);
    }

    private static double ratio(Map<String, Long> served, String one, String other) {
        return (double) served.getOrDefault(one, 0L) / served.getOrDefault(other, 0L);
    }

    @Test
    void tenants_that_always_wait_get_tokens_in_the_ratio_of_their_weights() {
        Map<String, TenantLimits> weights = Map.of("one", weight(1), "three", weight(3));
        for (int slots : List.of(1, 2, 4, 50)) {
            for (Map<String, Integer> answers : List.of(
                    Map.of("one", 100, "three", 100),
                    Map.of("one", 1_000, "three", 100),
                    Map.of("one", 100, "three", 1_000))) {
                Map<String, Long> served = play(weights, answers, slots, 120);
                assertThat(ratio(served, "three", "one"))
                        .as("%d slots, answers %s", slots, answers)
                        .isCloseTo(3, within(0.3));
            }
        }
    }

    @Test
    void a_tenant_that_was_away_takes_no_more_than_its_share_when_it_is_back() {
        Tenants tenants = new Tenants(Map.of());
        tenants.joined("busy", 0);
        for (int turn = 0; turn < 1_000; turn++) {
            tenants.granted(turn, "busy", 400, turn * 100L);
            tenants.used(turn, 100, 100, turn * 100L);
            tenants.ended(turn);
        }
        tenants.joined("back", 100_000);

        int[] starts = new int[2];
        for (int turn = 1_000; turn < 1_100; turn++) {
            String next = Stream.of("busy", "back").min(tenants::compare).orElseThrow();
            starts[next.equals("back") ? 1 : 0]++;
            tenants.granted(turn, next, 400, 100_000);
            tenants.used(turn, 100, 100, 100_000);
            tenants.ended(turn);
        }
        assertThat(starts[1]).isBetween(48, 52);
    }

    @Test
    void the_limits_of_a_tenant_hold_and_are_explained() {
        Tenants tenants = new Tenants(Map.of("acme", new TenantLimits(1, OptionalInt.of(2), OptionalInt.of(3), NO)));
        tenants.joined("acme", 0);
        assertThat(tenants.room("acme", 0)).isEqualTo(2);
        assertThat(tenants.obstacle("acme", 0)).isEmpty();

        tenants.granted(1, "acme", 400, 0);
        tenants.granted(2, "acme", 400, 10_000);
        assertThat(tenants.mayStart("acme", 10_000)).isFalse();
        assertThat(tenants.room("acme", 10_000)).isZero();
        assertThat(tenants.obstacle("acme", 10_000))
                .hasValue(
                        "tenant 'acme' has reached its max-in-flight: 2 of 2 jobs in flight; a job may start when one of them ends");
        assertThat(tenants.nextMillis(10_000)).as("time alone does not help").isEqualTo(Long.MAX_VALUE);

        tenants.ended(1);
        tenants.granted(3, "acme", 400, 20_000);
        tenants.ended(2);
        assertThat(tenants.obstacle("acme", 21_000))
                .hasValue(
                        "tenant 'acme' has reached its requests-per-minute: 3 of 3 jobs in a minute; a job may start in 40 s");
        assertThat(tenants.nextMillis(21_000)).isEqualTo(RateWindow.LENGTH_MILLIS);
        assertThat(tenants.mayStart("acme", RateWindow.LENGTH_MILLIS)).isTrue();
        assertThat(tenants.mayStart("other", 21_000)).isTrue();
    }

    @Test
    void a_further_attempt_of_a_job_is_no_further_job_but_its_tokens_count() {
        Tenants tenants =
                new Tenants(Map.of("acme", new TenantLimits(1, NO, OptionalInt.of(2), OptionalInt.of(1_000))));
        tenants.joined("acme", 0);
        tenants.granted(1, "acme", 400, 0);
        tenants.used(1, 100, 300, 1_000);
        tenants.granted(1, "acme", 400, 2_000);
        tenants.used(1, 100, 550, 3_000);

        assertThat(tenants.obstacle("acme", 3_000).orElse(""))
                .contains("tokens-per-minute: 1050 of 1000 tokens in a minute");
        tenants.ended(1);
        assertThat(tenants.mayStart("acme", RateWindow.LENGTH_MILLIS)).isTrue();
    }

    @Test
    void the_live_replicas_share_the_limits() {
        Tenants tenants = new Tenants(Map.of("acme", new TenantLimits(1, OptionalInt.of(7), OptionalInt.of(2), NO)));
        tenants.joined("acme", 0);
        tenants.share((_, limit) -> Math.max(1, limit / 3), 3, 0);

        assertThat(tenants.room("acme", 0)).isEqualTo(1);
        assertThat(tenants.exceeded())
                .isEqualTo(
                        Map.of(
                                "acme",
                                "tenant 'acme' has requests-per-minute 2, and there are 3 replicas, each of which takes one at least. Run fewer replicas, or raise requests-per-minute"));
        tenants.granted(1, "acme", 0, 0);
        assertThat(tenants.obstacle("acme", 0).orElse(""))
                .contains("1 of 1 jobs in a minute at this replica, which is one of 3");

        tenants.share((_, limit) -> limit, 1, 1_000);
        assertThat(tenants.exceeded()).isEmpty();
        assertThat(tenants.mayStart("acme", 2_000))
                .as("what the others began still counts")
                .isFalse();
    }

    @Test
    void idle_tenants_that_only_records_name_are_forgotten() {
        Tenants tenants = new Tenants(Map.of());
        for (int i = 0; i < 5_000; i++) {
            tenants.joined("t" + i, 0);
            tenants.granted(i, "t" + i, 400, 0);
            tenants.left("t" + i);
            tenants.ended(i);
        }
        assertThat(tenants.size()).isLessThan(1_200);
    }
}
