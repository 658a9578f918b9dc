package dev.penstock.intake.group;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.intake.record.OriginRecord;
import dev.penstock.intake.record.PausedTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;

/** Which record of a partition the loop takes, and when it reads the partition again. */
class GroupPartitionTest {
    private static final Instant NOW = PausedTime.START;

    private final Set<Long> goesOn = new HashSet<>();
    private long version;
    private final GroupPartition partition = new GroupPartition(0, 3, new GroupPartition.Early() {
        @Override
        public boolean isDue(OriginRecord origin) {
            return goesOn.contains(origin.place().offset());
        }

        @Override
        public long version() {
            return version;
        }
    });

    /** A poll that returns these offsets: what is taken of them. */
    private List<Long> read(Instant now, Duration delay, long... offsets) {
        List<Long> taken = new ArrayList<>();
        for (long offset : offsets) {
            if (!partition.passes(offset) && partition.takes(offset, origin(offset, NOW.plus(delay)), now)) {
                partition.offsets().skip(offset);
                taken.add(offset);
            }
        }
        partition.readTo(offsets[offsets.length - 1] + 1);
        return taken;
    }

    @Test
    void what_is_due_is_taken_in_order() {
        assertThat(read(NOW, Duration.ZERO, 0, 1, 4)).containsExactly(0L, 1L, 4L);

        assertThat(partition.offsets().committable()).isEqualTo(5);
        assertThat(partition.readAgain(NOW)).as("nothing was left behind").isEmpty();
    }

    @Test
    void what_is_no_job_is_taken_at_any_time() {
        assertThat(read(NOW, Duration.ofSeconds(5), 0)).isEmpty();

        assertThat(partition.takes(1, null, NOW)).isTrue();
    }

    @Test
    void behind_a_head_that_is_not_due_only_those_are_taken_that_need_not_wait() {
        goesOn.add(2L);
        assertThat(read(NOW, Duration.ofSeconds(5), 0, 1, 2, 3)).containsExactly(2L);
        assertThat(partition.offsets().committable()).as("the head is to come").isZero();

        Instant before = NOW.plusMillis(4_999);
        assertThat(partition.readAgain(before)).isEmpty();
        Instant due = NOW.plusSeconds(5);
        assertThat(partition.readAgain(due)).isEqualTo(OptionalLong.of(0));
        assertThat(partition.readAgain(due)).as("once").isEmpty();
        assertThat(read(due, Duration.ofSeconds(5), 0, 1, 2, 3)).containsExactly(0L, 1L, 3L);
        assertThat(partition.offsets().committable()).isEqualTo(4);
    }

    @Test
    void when_more_need_not_wait_it_looks_again_at_most_each_second() {
        assertThat(read(NOW, Duration.ofMinutes(5), 0, 1, 2)).isEmpty();
        goesOn.add(1L);
        assertThat(partition.readAgain(NOW.plusSeconds(9)))
                .as("nothing has changed")
                .isEmpty();
        version++;

        assertThat(partition.readAgain(NOW.plusMillis(999))).isEmpty();
        Instant later = NOW.plusSeconds(1);
        assertThat(partition.readAgain(later)).isEqualTo(OptionalLong.of(0));
        assertThat(read(later, Duration.ofMinutes(5), 0, 1, 2)).containsExactly(1L);
        version++;
        assertThat(partition.readAgain(later.plusMillis(999))).isEmpty();
        assertThat(partition.readAgain(later.plusSeconds(1))).isEqualTo(OptionalLong.of(0));
    }

    @Test
    void a_limit_holds_for_those_that_are_taken_early() {
        assertThat(read(NOW, Duration.ofMinutes(5), 0)).isEmpty();
        for (long offset = 1; offset <= GroupPartition.MOST_EARLY; offset++) {
            goesOn.add(offset);
            assertThat(read(NOW, Duration.ofMinutes(5), offset)).containsExactly(offset);
        }
        long next = GroupPartition.MOST_EARLY + 1L;
        goesOn.add(next);

        assertThat(read(NOW, Duration.ofMinutes(5), next)).isEmpty();
    }

    @Test
    void records_from_before_this_owner_may_have_run() {
        assertThat(partition.mayHaveRun(2)).isTrue();
        assertThat(partition.mayHaveRun(3)).isFalse();
    }

    @Test
    @SuppressWarnings("NullAway") // nothing is written here
    void a_retry_comes_once_at_its_time() {
        GroupDelivery first = new GroupDelivery(origin(0, NOW), true, null, null);
        GroupDelivery second = new GroupDelivery(origin(1, NOW), true, null, null);
        partition.retry(first, NOW.plusSeconds(2));
        partition.retry(second, NOW.plusSeconds(3));

        assertThat(partition.retriesDue(NOW.plusMillis(1_999))).isEmpty();
        assertThat(partition.retriesDue(NOW.plusSeconds(2))).containsExactly(first);
        assertThat(partition.retriesDue(NOW.plusSeconds(9))).containsExactly(second);
        assertThat(partition.retriesDue(NOW.plusSeconds(9))).isEmpty();
    }

    static OriginRecord origin(long offset, Instant due) {
        ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>(
                "prompt-jobs-deferred",
                3,
                offset,
                due.toEpochMilli(),
                TimestampType.CREATE_TIME,
                0,
                0,
                new byte[0],
                new byte[0],
                new RecordHeaders(),
                Optional.empty());
        return new OriginRecord(record, OriginRecord.placeOf(record), null, due, null, null, 0, 0, 0, null, null);
    }
}
