package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class BreakerTest {
    private static final Breaker.Rules RULES = new Breaker.Rules(10, 0.5, 4, 1_000);

    private Breaker breaker = Breaker.Closed.FIRST;
    private long attempts;
    private long now;

    @Test
    void it_opens_when_half_of_enough_attempts_failed() {
        answers(2);
        fails(1);
        assertThat(breaker.wireName()).as("one of three").isEqualTo("closed");
        fails(1);
        assertThat(breaker.wireName()).as("two of four").isEqualTo("open");
    }

    @Test
    void it_stays_closed_below_the_smallest_number_of_attempts() {
        fails(3);
        assertThat(breaker.wireName()).isEqualTo("closed");
        fails(1);
        assertThat(breaker).isEqualTo(new Breaker.Open(1_000));
    }

    @Test
    void only_the_window_counts() {
        answers(100);
        fails(4);
        assertThat(breaker.wireName()).as("four of the last ten").isEqualTo("closed");
        fails(1);
        assertThat(breaker.wireName()).isEqualTo("open");
    }

    @Test
    void the_largest_window_is_64() {
        Breaker.Rules wide = new Breaker.Rules(64, 1, 64, 1_000);
        for (int i = 0; i < 63; i++) {
            breaker = breaker.failed(++attempts, Breaker.Blame.ONE, now, wide);
        }
        assertThat(breaker.wireName()).isEqualTo("closed");
        breaker = breaker.failed(++attempts, Breaker.Blame.ONE, now, wide);
        assertThat(breaker.wireName()).isEqualTo("open");

        assertThatThrownBy(() -> new Breaker.Rules(65, 1, 1, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new Breaker.Rules(4, 1, 5, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new Breaker.Rules(4, Double.NaN, 1, 1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void failures_that_are_not_the_nodes_count_for_nothing() {
        for (int i = 0; i < 100; i++) {
            breaker = breaker.failed(++attempts, Breaker.Blame.NONE, now, RULES);
        }
        assertThat(breaker).isEqualTo(Breaker.Closed.FIRST);
    }

    @Test
    void a_node_that_is_silent_towards_all_opens_it_at_once() {
        answers(100);
        breaker = breaker.failed(++attempts, Breaker.Blame.ALL, now, RULES);
        assertThat(breaker.wireName()).isEqualTo("open");
    }

    /** A server with 64 streams dies. This is one event, and not a reason to keep jobs away after its restart. */
    @Test
    void connections_that_are_lost_together_count_once() {
        for (int i = 0; i < 64; i++) {
            breaker = breaker.failed(++attempts, Breaker.Blame.CONNECTION, now + i, RULES);
        }
        assertThat(breaker.wireName()).isEqualTo("closed");
        for (int event = 0; event < 3; event++) {
            now += 200;
            breaker = breaker.failed(++attempts, Breaker.Blame.CONNECTION, now, RULES);
        }
        assertThat(breaker.wireName()).as("four events").isEqualTo("open");
    }

    @Test
    void an_open_breaker_lets_one_job_through_in_each_interval() {
        fails(4);
        assertThat(breaker.allows(999)).isFalse();
        assertThat(breaker.triesInMillis(400)).isEqualTo(600);
        assertThat(breaker.allows(1_000)).isTrue();

        breaker = breaker.begun(++attempts, 1_500, RULES);

        assertThat(breaker.wireName()).isEqualTo("half_open");
        assertThat(breaker.level()).isEqualTo(1);
        assertThat(breaker.allows(1_501)).isFalse();
        assertThat(breaker.allows(2_499)).isFalse();
        assertThat(breaker.allows(2_500))
                .as("the first job still has no result")
                .isTrue();
    }

    @Test
    void a_job_that_fails_at_once_does_not_let_the_next_one_through_earlier() {
        fails(4);
        breaker = breaker.begun(++attempts, 1_000, RULES);
        breaker = breaker.failed(attempts, Breaker.Blame.ONE, 1_010, RULES);

        assertThat(breaker).isEqualTo(new Breaker.Open(2_000));
        assertThat(breaker.level()).isEqualTo(2);
    }

    @Test
    void a_whole_answer_of_a_job_that_tried_the_node_closes_it() {
        fails(4);
        breaker = breaker.begun(++attempts, 1_000, RULES);
        breaker = breaker.begun(++attempts, 2_000, RULES);

        breaker = breaker.answered(attempts - 1, attempts, RULES);

        assertThat(breaker.wireName()).isEqualTo("closed");
        assertThat(breaker.allows(2_001)).isTrue();
        assertThat(breaker.triesInMillis(2_001)).isNegative();
    }

    @Test
    void attempts_from_before_the_opening_decide_nothing_after_it() {
        long old = ++attempts;
        fails(4);
        breaker = breaker.answered(old, attempts, RULES);
        assertThat(breaker).isEqualTo(new Breaker.Open(1_000));

        breaker = breaker.begun(++attempts, 1_000, RULES);
        Breaker trying = breaker;
        breaker = breaker.answered(old, attempts, RULES);
        breaker = breaker.failed(old, Breaker.Blame.ALL, 1_100, RULES);
        assertThat(breaker).isEqualTo(trying);

        breaker = breaker.answered(attempts, attempts, RULES);
        for (Breaker.Blame blame : Breaker.Blame.values()) {
            Breaker closed = breaker;
            breaker = breaker.failed(old, blame, 1_200, RULES);
            assertThat(breaker).as(blame.name()).isEqualTo(closed);
        }
    }

    @Test
    void a_job_that_ends_for_a_reason_of_its_own_leaves_the_breaker_half_open() {
        fails(4);
        breaker = breaker.begun(++attempts, 1_000, RULES);
        Breaker trying = breaker;

        breaker = breaker.failed(attempts, Breaker.Blame.NONE, 1_100, RULES);

        assertThat(breaker).isEqualTo(trying);
    }

    private void answers(int count) {
        for (int i = 0; i < count; i++) {
            breaker = breaker.begun(++attempts, now, RULES);
            breaker = breaker.answered(attempts, attempts, RULES);
        }
    }

    private void fails(int count) {
        for (int i = 0; i < count; i++) {
            breaker = breaker.begun(++attempts, now, RULES);
            breaker = breaker.failed(attempts, Breaker.Blame.ONE, now, RULES);
        }
    }
}
