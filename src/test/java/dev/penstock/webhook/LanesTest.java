package dev.penstock.webhook;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class LanesTest {
    @Test
    void a_webhook_holds_its_share_of_the_records_and_leaves_the_rest_to_others() {
        Lanes lanes = new Lanes(Set.of("slow", "quick"), 1 << 20);
        List<Lanes.Place> held = new ArrayList<>();
        for (int i = 0; i < Lanes.RECORDS / 2; i++) {
            held.add(lanes.take("slow", 10).orElseThrow());
        }

        assertThat(lanes.take("slow", 10)).isEmpty();
        assertThat(lanes.take("quick", 10)).isPresent();
        held.getFirst().close();
        assertThat(lanes.take("slow", 10)).isPresent();
    }

    @Test
    void a_webhook_holds_its_share_of_the_bytes_and_at_least_one_record() {
        Lanes lanes = new Lanes(Set.of("orders"), 1_000);

        Lanes.Place large = lanes.take("orders", 5_000).orElseThrow();
        assertThat(lanes.take("orders", 1)).isEmpty();
        large.close();
        Lanes.Place half = lanes.take("orders", 500).orElseThrow();
        assertThat(lanes.take("orders", 501)).isEmpty();
        assertThat(lanes.take("orders", 500)).isPresent();
        half.close();
    }

    @Test
    void so_many_posts_run_at_once_and_no_more() throws Exception {
        Lanes lanes = new Lanes(Set.of("orders"), 1 << 20);
        List<Lanes.Turn> turns = new ArrayList<>();
        for (int i = 0; i < Lanes.POSTS; i++) {
            turns.add(lanes.take("orders", 1).orElseThrow().turn(Duration.ZERO).orElseThrow());
        }
        Lanes.Place next = lanes.take("orders", 1).orElseThrow();

        assertThat(next.turn(Duration.ZERO)).isEmpty();
        turns.getFirst().close();
        assertThat(next.turn(Duration.ZERO)).isPresent();
    }

    @Test
    void an_unknown_webhook_has_no_place() {
        assertThat(new Lanes(Set.of("orders"), 1_000).take("other", 1)).isEmpty();
    }
}
