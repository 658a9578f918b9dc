package dev.penstock.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;

class SpreadTest {
    @Test
    void the_order_of_the_samples_does_not_matter() {
        Spread spread = Spread.of(DoubleStream.of(9, 1, 5));

        assertThat(spread).isEqualTo(new Spread(5, 1, 9, 3));
        assertThat(spread.text(1)).isEqualTo("5.0 (1.0..9.0)");
    }

    @Test
    void a_percentile_between_two_samples_is_interpolated() {
        List<Double> samples = List.of(10.0, 20.0);

        assertThat(Spread.percentile(samples, 50)).isEqualTo(15);
        assertThat(Spread.percentile(samples, 99)).isEqualTo(19.9);
        assertThat(Spread.percentile(samples, 100)).isEqualTo(20);
    }

    @Test
    void no_samples_have_no_median() {
        assertThatThrownBy(() -> Spread.of(List.of())).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void waits_are_compared_round_by_round() {
        Waits ours = new Waits();
        Waits theirs = new Waits();
        ours.add(List.of(10.0, 12.0, 14.0));
        theirs.add(List.of(1.0, 2.0, 3.0));
        ours.add(List.of(30.0));
        theirs.add(List.of(25.0));

        assertThat(ours.percentile(50)).isEqualTo(new Spread(21, 12, 30, 2));
        assertThat(ours.minus(theirs, 50)).isEqualTo(new Spread(7.5, 5, 10, 2));
    }
}
