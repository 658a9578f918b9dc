package dev.penstock.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class EventStreamsTest {
    private final AtomicBoolean stalled = new AtomicBoolean();
    private final EventStreams streams = new EventStreams(2, _ -> stalled.get());

    @Test
    void one_too_many_is_refused_until_another_has_ended() {
        EventStreams.Place first = streams.take();
        EventStreams.Place second = streams.take();

        assertThatThrownBy(streams::take)
                .isInstanceOfSatisfying(
                        ApiException.class,
                        e -> assertThat(e.failure().code().httpStatus()).isEqualTo(503))
                .hasMessageContaining("penstock.api.max-streams");
        first.giveBack();
        first.giveBack();
        EventStreams.Place third = streams.take();
        assertThatThrownBy(streams::take).isInstanceOf(ApiException.class);
        second.giveBack();
        third.giveBack();
    }

    @Test
    void one_that_stands_still_makes_room() {
        EventStreams.Place first = streams.take();
        EventStreams.Place second = streams.take();
        stalled.set(true);

        EventStreams.Place third = streams.take();

        assertThat(third).isNotNull();
        first.giveBack();
        second.giveBack();
        third.giveBack();
    }
}
