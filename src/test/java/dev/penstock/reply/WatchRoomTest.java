package dev.penstock.reply;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.wire.record.EventHeaders;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;

/** Tests with a clock that only the test moves. */
class WatchRoomTest {
    private static final int EVENT = 1_000;

    private final AtomicLong nanos = new AtomicLong();
    private final WatchRoom room = new WatchRoom(100 * EVENT, 5 * EVENT, nanos::get);
    private final List<String> dropped = new ArrayList<>();
    private long offset;

    @Test
    void the_one_that_has_read_nothing_for_the_longest_time_is_dropped_first() throws InterruptedException {
        Watch deaf = watch("deaf");
        Watch slow = watch("slow");
        Watch quick = watch("quick");
        for (int i = 0; i < 3; i++) {
            nanos.incrementAndGet();
            shown(deaf);
            // its first event came a moment later, and it has not read either
            nanos.incrementAndGet();
            shown(slow);
            shown(quick);
            var _ = quick.next(Duration.ZERO);
            // its event is sent
            var _ = quick.next(Duration.ZERO);
        }

        assertThat(dropped).containsExactly("deaf");
        assertThat(deaf.next(Duration.ZERO)).isInstanceOf(Watch.Next.TooSlow.class);
        assertThat(slow.next(Duration.ZERO)).isInstanceOf(Watch.Next.Event.class);
        assertThat(room.held()).isLessThanOrEqualTo(5L * EVENT);
    }

    @Test
    void one_that_is_alone_is_not_dropped_and_what_is_being_sent_counts() throws InterruptedException {
        Watch only = watch("only");
        for (int i = 0; i < 10; i++) {
            shown(only);
        }
        assertThat(dropped).isEmpty();
        assertThat(room.held()).isEqualTo(10L * EVENT);

        var _ = only.next(Duration.ZERO);

        assertThat(room.held()).as("nine wait, and one is there twice").isEqualTo(11L * EVENT);
        only.close();
        assertThat(room.held()).isZero();
    }

    @Test
    void one_that_was_dropped_can_go_on_where_it_was() throws InterruptedException {
        Watch deaf = watch("deaf");
        Watch other = watch("other");
        shown(deaf);
        Watch.Next.Event seen = (Watch.Next.Event) deaf.next(Duration.ZERO);
        nanos.incrementAndGet();
        for (int i = 0; i < 5; i++) {
            shown(other);
        }

        assertThat(dropped).containsExactly("deaf");
        assertThat(ResumePoint.parse(seen.resume().toString())).isEqualTo(Optional.of(seen.resume()));
    }

    @Test
    void only_one_that_has_stood_still_for_so_long_makes_room_for_another_stream() {
        assertThat(room.drop(Duration.ZERO)).as("there is none").isFalse();
        Watch deaf = watch("deaf");
        assertThat(room.drop(Duration.ZERO)).as("it has nothing to read").isFalse();
        shown(deaf);
        nanos.addAndGet(Duration.ofMillis(900).toNanos());
        assertThat(room.drop(Duration.ofSeconds(1))).isFalse();
        nanos.addAndGet(Duration.ofMillis(100).toNanos());
        assertThat(room.drop(Duration.ofSeconds(1))).isTrue();
        assertThat(dropped).containsExactly("deaf");
    }

    private Watch watch(String name) {
        Watch watch = new Watch(new JobId("j"), 0, ResumePoint.START, _ -> {}, room);
        watch.whenDropped(() -> dropped.add(name));
        watch.caughtUp(null);
        return watch;
    }

    private void shown(Watch watch) {
        offset++;
        byte[] key = EventHeaders.utf8("j");
        EventMark mark = new EventMark(EventMark.Kind.STARTED, (int) offset, "r" + offset, 0);
        watch.live(new ConsumerRecord<>(
                "prompt-replies",
                0,
                offset,
                0L,
                TimestampType.CREATE_TIME,
                0,
                EVENT,
                key,
                new byte[EVENT],
                EventHeaders.of(key, mark, null),
                Optional.empty()));
    }
}
