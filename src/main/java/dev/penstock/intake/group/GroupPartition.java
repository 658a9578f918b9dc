package dev.penstock.intake.group;

import dev.penstock.intake.record.OriginRecord;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * A partition that the group gave this replica. It decides which record the loop takes now.
 *
 * <p>The record at the head may have a time in the future. Then the partition looks ahead: it takes those records behind the
 * head that need not wait for their time. When the head is due, or when more records need not wait, the loop reads again
 * from the head on, and skips what it took.
 *
 * <p>Owned by the loop's thread.
 */
public final class GroupPartition {
    /** So many records may be taken before their time, while the one at the head waits. */
    static final int MOST_EARLY = 1_000;

    /** All that is not due is looked at again at most so often. */
    static final Duration LOOK_AGAIN = Duration.ofSeconds(1);

    private static final long UNKNOWN = -1;

    private final OffsetTracker<GroupDelivery> offsets;
    private final long endWhenGiven;
    private final Early early;
    private final List<Retry> retries = new ArrayList<>();

    /** When the head is due. */
    private Instant headDue = Instant.MIN;

    /** Whether the consumer reads behind the head, which is not due. */
    private boolean ahead;

    private long earlyVersion = UNKNOWN;
    private Instant lookedAt = Instant.MIN;

    /** A record whose run ended without an outcome. */
    private record Retry(GroupDelivery held, Instant at) {}

    /** Which records need not wait for their time. */
    public interface Early {
        /** None. */
        Early NEVER = new Early() {
            @Override
            public boolean isDue(OriginRecord origin) {
                return false;
            }

            @Override
            public long version() {
                return 0;
            }
        };

        /** Whether the record may be taken now, before its time. */
        boolean isDue(OriginRecord origin);

        /** Changes whenever an answer of {@link #isDue} may have changed. */
        long version();
    }

    /**
     * @param position where the group reads from
     * @param endWhenGiven the partition's end at that time; another consumer may have run the records before it
     */
    GroupPartition(long position, long endWhenGiven, Early early) {
        offsets = new OffsetTracker<>(position);
        this.endWhenGiven = endWhenGiven;
        this.early = early;
    }

    OffsetTracker<GroupDelivery> offsets() {
        return offsets;
    }

    /** Whether the owner before this replica may have run the record. */
    boolean mayHaveRun(long offset) {
        return offset < endWhenGiven;
    }

    /** Whether the record was taken before. */
    boolean passes(long offset) {
        boolean taken = offsets.isTaken(offset);
        if (taken) {
            readTo(offset);
        }
        return taken;
    }

    /**
     * Whether the loop takes this record now.
     *
     * @param origin null: there is nothing to do with the record
     */
    boolean takes(long offset, @Nullable OriginRecord origin, Instant now) {
        readTo(offset);
        if (!ahead && origin != null && origin.notBefore().isAfter(now)) {
            headDue = origin.notBefore();
            ahead = true;
            look(now);
        }
        return !ahead || origin == null || (offsets.takenEarly() < MOST_EARLY && early.isDue(origin));
    }

    /** The consumer has read everything before this offset. Marks of transactions are offsets without a record. */
    void readTo(long offset) {
        if (!ahead) {
            offsets.reach(offset);
        }
    }

    /** Where the consumer has to read again from: the head is due, or more may be taken before its time. */
    OptionalLong readAgain(Instant now) {
        if (!ahead) {
            return OptionalLong.empty();
        }
        boolean due = !headDue.isAfter(now);
        boolean changed =
                earlyVersion != early.version() && !lookedAt.plus(LOOK_AGAIN).isAfter(now);
        if (!due && !changed) {
            return OptionalLong.empty();
        }
        ahead = !due;
        look(now);
        return OptionalLong.of(offsets.next());
    }

    private void look(Instant now) {
        earlyVersion = early.version();
        lookedAt = now;
    }

    /** The run of a record ended without an outcome: it runs again at that time. */
    void retry(GroupDelivery held, Instant at) {
        retries.add(new Retry(held, at));
    }

    /** The records to run again now; each is returned once. */
    List<GroupDelivery> retriesDue(Instant now) {
        List<GroupDelivery> due = retries.stream()
                .filter(retry -> !retry.at().isAfter(now))
                .map(Retry::held)
                .toList();
        retries.removeIf(retry -> !retry.at().isAfter(now));
        return due;
    }
}
