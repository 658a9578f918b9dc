package dev.penstock.node.media;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class MediaRoomTest {
    private final MediaRoom room = new MediaRoom(100);

    @Test
    void jobs_that_hold_a_part_and_want_more_do_not_wait_for_each_other() {
        MediaRoom.Share first = room.new Share();
        MediaRoom.Share second = room.new Share();
        assertThat(first.reserve(50)).isDone();
        assertThat(second.reserve(50)).isDone();
        var more = second.reserve(50);

        assertThat(first.reserve(50)).as("the first to begin goes beyond").isDone();
        assertThat(more).isNotDone();

        first.close();
        assertThat(more).isDone();
        assertThat(room.taken()).isEqualTo(100);
        second.close();
        assertThat(room.taken()).isZero();
    }

    @Test
    void what_is_larger_than_all_room_goes_alone() {
        try (MediaRoom.Share large = room.new Share();
                MediaRoom.Share other = room.new Share()) {
            assertThat(large.reserve(500)).isDone();
            var waiting = other.reserve(1);
            assertThat(waiting).isNotDone();

            large.giveBack(450);

            assertThat(waiting).isDone();
        }
    }

    @Test
    void one_that_left_is_not_waited_for() {
        MediaRoom.Share first = room.new Share();
        MediaRoom.Share left = room.new Share();
        MediaRoom.Share last = room.new Share();
        assertThat(first.reserve(90)).isDone();
        assertThat(left.reserve(90)).isNotDone();
        var small = last.reserve(10);
        assertThat(small).as("in their order").isNotDone();

        left.close();

        assertThat(small).isDone();
    }
}
