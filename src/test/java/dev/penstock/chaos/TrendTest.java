package dev.penstock.chaos;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;

class TrendTest {
    private static Trend of(double allowance, IntToDoubleFunction sample) {
        Trend trend = new Trend("threads", allowance);
        for (int i = 0; i < 60; i++) {
            trend.add(sample.applyAsDouble(i));
        }
        return trend;
    }

    @Test
    void a_leak_grows_steadily() {
        assertThat(of(5, i -> 30 + i).growsSteadily()).isTrue();
        assertThat(of(5, i -> 30 + i + i % 7).growsSteadily()).isTrue();
    }

    @Test
    void a_level_with_noise_does_not_grow() {
        assertThat(of(5, _ -> 30).growsSteadily()).isFalse();
        assertThat(of(5, i -> 30 + 10 * (i % 3)).growsSteadily()).isFalse();
    }

    @Test
    void one_step_up_is_no_steady_growth() {
        assertThat(of(5, i -> i < 40 ? 30 : 60).growsSteadily()).isFalse();
    }

    @Test
    void what_grows_before_the_first_fifth_is_over_does_not_count() {
        assertThat(of(5, i -> Math.min(i, 12)).growsSteadily()).isFalse();
    }

    @Test
    void slow_growth_is_allowed() {
        assertThat(of(50, i -> 30 + i).growsSteadily()).isFalse();
    }

    @Test
    void a_few_samples_show_no_trend() {
        Trend trend = new Trend("threads", 5);
        trend.add(1);

        assertThatThrownBy(trend::growsSteadily).isInstanceOf(IllegalStateException.class);
    }
}
