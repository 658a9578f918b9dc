package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.node.protocol.WireProtocol;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;

class HealthHistoryTest {
    private static final List<WireProtocol.Model> NONE = List.of();
    private static final List<WireProtocol.Model> TINY = List.of(new WireProtocol.Model("tiny", false, null));
    private static final Instant LATER = Instant.EPOCH.plusSeconds(5);

    private final HealthHistory history = new HealthHistory(Instant.EPOCH);

    @Test
    void a_new_node_is_down_and_its_models_are_unknown() {
        assertThat(history.latest())
                .isEqualTo(new Node.Health(Node.State.DOWN, false, NONE, "not probed yet", Instant.EPOCH));
    }

    @Test
    void the_first_down_is_news_and_moves_no_job() {
        HealthHistory.Change change = history.become(Node.State.DOWN, NONE, "refused", LATER);

        assertThat(change).isEqualTo(new HealthHistory.Change(true, false));
        assertThat(history.latest().since()).isEqualTo(Instant.EPOCH);
        assertThat(history.latest().lastError()).isEqualTo("refused");
        assertThat(history.become(Node.State.DOWN, NONE, "refused", LATER))
                .isEqualTo(new HealthHistory.Change(false, false));
    }

    @Test
    void a_node_that_comes_up_moves_jobs_and_its_models_stay_known() {
        assertThat(history.become(Node.State.UP, TINY, null, LATER)).isEqualTo(new HealthHistory.Change(true, true));
        assertThat(history.latest().since()).isEqualTo(LATER);

        assertThat(history.become(Node.State.DOWN, TINY, "gone", LATER))
                .isEqualTo(new HealthHistory.Change(true, true));
        assertThat(history.latest().known()).isTrue();
    }

    @Test
    void other_models_move_jobs_and_are_not_logged() {
        history.become(Node.State.UP, NONE, null, LATER);

        assertThat(history.become(Node.State.UP, TINY, null, LATER)).isEqualTo(new HealthHistory.Change(false, true));
        assertThat(history.become(Node.State.UP, TINY, null, LATER)).isEqualTo(new HealthHistory.Change(false, false));
    }

    @Test
    void a_node_that_drains_stays_in_that_state() {
        assertThat(history.become(Node.State.DRAINING, NONE, null, LATER))
                .isEqualTo(new HealthHistory.Change(false, true));

        assertThat(history.become(Node.State.UP, TINY, null, LATER)).isEqualTo(new HealthHistory.Change(false, false));
        assertThat(history.latest().state()).isEqualTo(Node.State.DRAINING);
    }
}
