package dev.penstock.api.call;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class StreamPlacesTest {
    private final AtomicBoolean stalled = new AtomicBoolean();
    private final StreamPlaces places = new StreamPlaces(2, _ -> stalled.get());

    @Test
    void one_too_many_is_refused_until_another_has_ended() {
        StreamPlaces.Place first = places.take();
        StreamPlaces.Place second = places.take();

        assertThatThrownBy(places::take)
                .isInstanceOfSatisfying(
                        ApiException.class,
                        e -> assertThat(e.failure().code().httpStatus()).isEqualTo(503))
                .hasMessageContaining("penstock.api.max-streams");
        first.giveBack();
        first.giveBack();
        StreamPlaces.Place third = places.take();
        assertThatThrownBy(places::take).isInstanceOf(ApiException.class);
        second.giveBack();
        third.giveBack();
    }

    @Test
    void one_that_stands_still_makes_room() {
        StreamPlaces.Place first = places.take();
        StreamPlaces.Place second = places.take();
        stalled.set(true);

        StreamPlaces.Place third = places.take();

        assertThat(third).isNotNull();
        first.giveBack();
        second.giveBack();
        third.giveBack();
    }
}
