package dev.penstock.tenant;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class RateWindowTest {
    private static final long MINUTE = RateWindow.LENGTH_MILLIS;

    private static RateWindow requests(int limit) {
        return new RateWindow(new RateWindow.Limits(limit, Integer.MAX_VALUE));
    }

    private static RateWindow tokens(int limit) {
        return new RateWindow(new RateWindow.Limits(Integer.MAX_VALUE, limit));
    }

    @Test
    void no_minute_has_more_requests_than_the_limit_and_none_is_wasted() {
        RateWindow window = requests(30);
        SplittableRandom chance = new SplittableRandom(1);
        List<Long> begun = new ArrayList<>();
        for (long now = 0; now < 20 * MINUTE; now += chance.nextInt(1_500)) {
            // bursts and pauses
            int wanted = chance.nextInt(10) == 0 ? 25 : 1;
            for (int i = 0; i < wanted && window.hasRoom(now); i++) {
                window.begin(0, now);
                begun.add(now);
            }
        }

        for (int i = 30; i < begun.size(); i++) {
            assertThat(begun.get(i) - begun.get(i - 30)).isGreaterThanOrEqualTo(MINUTE);
        }
        assertThat(begun).hasSizeBetween(19 * 30, 20 * 30);
    }

    @Test
    void a_request_that_is_sent_late_counts_from_then_on() {
        RateWindow window = requests(2);
        RateWindow.Begun first = window.begin(0, 0);
        window.begin(0, 1_000);
        window.sent(first, 5_000);

        assertThat(window.opensInMillis(5_000))
                .as("the second one leaves first")
                .isEqualTo(MINUTE - 4_000);
        assertThat(window.room(MINUTE + 4_999)).isEqualTo(1);
        assertThat(window.room(MINUTE + 5_000)).isEqualTo(2);
    }

    @Test
    void it_says_when_it_opens() {
        RateWindow window = requests(2);
        window.begin(0, 1_000);
        window.begin(0, 5_000);

        assertThat(window.opensInMillis(6_000)).isEqualTo(MINUTE - 5_000);
        assertThat(window.room(1_000 + MINUTE - 1)).isZero();
        assertThat(window.room(1_000 + MINUTE)).isEqualTo(1);
        assertThat(window.opensInMillis(1_000 + MINUTE)).isZero();
    }

    @Test
    void the_estimate_counts_until_the_end_and_the_usage_afterwards() {
        RateWindow window = tokens(1_000);
        RateWindow.Begun first = window.begin(1_000, 0);
        assertThat(window.hasRoom(10)).isFalse();

        window.correct(first, 400, 20);
        assertThat(window.hasRoom(20)).isTrue();
        assertThat(window.tokens(20)).isEqualTo(400);

        // the last request of a minute may exceed the limit
        window.begin(5_000, 30);
        assertThat(window.hasRoom(40)).isFalse();
        assertThat(window.opensInMillis(40)).as("when both have left").isEqualTo(MINUTE - 10);
    }

    @Test
    void tokens_that_an_answer_of_more_than_a_minute_has_beyond_its_estimate_count_at_its_end() {
        RateWindow window = tokens(1_000);
        RateWindow.Begun first = window.begin(100, 0);
        window.correct(first, 1_500, 2 * MINUTE);

        assertThat(window.tokens(2 * MINUTE)).isEqualTo(1_400);
        assertThat(window.requests(2 * MINUTE)).isZero();
        assertThat(window.hasRoom(3 * MINUTE - 1)).isFalse();
        assertThat(window.hasRoom(3 * MINUTE)).isTrue();
    }

    @Test
    void a_smaller_share_counts_at_once_and_a_larger_one_after_a_minute() {
        RateWindow window = requests(6);
        window.begin(0, 0);
        window.begin(0, 0);
        window.limit(new RateWindow.Limits(2, Integer.MAX_VALUE), 100);
        assertThat(window.hasRoom(100)).isFalse();

        window.limit(new RateWindow.Limits(6, Integer.MAX_VALUE), 200);
        window.limit(new RateWindow.Limits(6, Integer.MAX_VALUE), 5_000);
        assertThat(window.room(MINUTE)).isEqualTo(2);
        assertThat(window.room(200 + MINUTE)).isEqualTo(6);
    }

    @Test
    void without_a_limit_it_keeps_nothing() {
        RateWindow window = new RateWindow(RateWindow.Limits.NONE);
        RateWindow.Begun begun = window.begin(100, 0);
        window.correct(begun, 1_000, 1);

        assertThat(window.requests(1)).isZero();
        assertThat(window.tokens(1)).isZero();
        assertThat(window.hasRoom(1)).isTrue();
    }
}
