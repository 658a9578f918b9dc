package dev.penstock.intake.group;

import dev.penstock.intake.record.OriginRecord;
import dev.penstock.kafka.OffsetTracker;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * A partition that the group assigned to this replica. It decides which records the loop takes now.
 *
 * <p>The head is the first record that the loop has not taken. If the head is not due yet, the partition looks ahead:
 * it takes later records that may run before they are due. When the head is due, or when more records may run early,
 * the loop reads again from the head, and skips the records that it has taken.
 *
 * <p>Owned by the loop's thread.
 */
public final class GroupPartition {
    /** The largest number of records that may be taken early while the head waits. */
    static final int MOST_EARLY = 1_000;

    /** The shortest time between two reads of the records that are not due. */
    static final Duration LOOK_AGAIN = Duration.ofSeconds(1);

    private static final long UNKNOWN = -1;

    private final OffsetTracker<GroupDelivery> offsets;
    private final long endWhenGiven;
    private final Early early;
    private final List<Retry> retries = new ArrayList<>();

    /** The time when the head is due. */
    private Instant headDue = Instant.MIN;

    /** Whether the consumer reads records after the head, because the head is not due. */
    private boolean ahead;

    private long earlyVersion = UNKNOWN;
    private Instant lookedAt = Instant.MIN;

    /** A record to run again, because its run ended without an outcome. */
    private record Retry(GroupDelivery delivery, Instant at) {}

    /** Decides which records may run before they are due. */
    public interface Early {
        /** Lets no record run early. */
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

        /** Returns whether the record may be taken now, before it is due. */
        boolean isDue(OriginRecord origin);

        /** Returns a number that changes whenever a result of {@link #isDue} may have changed. */
        long version();
    }

    /**
     * @param position the offset from which the group reads
     * @param endWhenGiven the end of the partition when the group assigned it; another consumer may have run the
     *     records before this end
     */
    GroupPartition(long position, long endWhenGiven, Early early) {
        offsets = new OffsetTracker<>(position);
        this.endWhenGiven = endWhenGiven;
        this.early = early;
    }

    OffsetTracker<GroupDelivery> offsets() {
        return offsets;
    }

    /** Returns whether an earlier owner of the partition may have run the record. */
    boolean mayHaveRun(long offset) {
        return offset < endWhenGiven;
    }

    /** Returns whether the loop must skip the record, because the record was already taken. */
    boolean passes(long offset) {
        boolean taken = offsets.isTaken(offset);
        if (taken) {
            readTo(offset);
        }
        return taken;
    }

    /**
     * Returns whether the loop takes this record now.
     *
     * @param origin the origin of the record; null if the record is no job
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

    /**
     * Notes that the consumer has read everything before this offset. Some of these offsets may have no record, for
     * example the offset of a transaction marker.
     */
    void readTo(long offset) {
        if (!ahead) {
            offsets.reach(offset);
        }
    }

    /**
     * Returns the offset from which the consumer must read again, because the head is due or more records may run
     * early; empty if it need not read again.
     */
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

    /** Schedules a record to run again at that time, because its run ended without an outcome. */
    void retry(GroupDelivery delivery, Instant at) {
        retries.add(new Retry(delivery, at));
    }

    /** Returns the records to run again now. Each record is returned once. */
    List<GroupDelivery> retriesDue(Instant now) {
        List<GroupDelivery> due = retries.stream()
                .filter(retry -> !retry.at().isAfter(now))
                .map(Retry::delivery)
                .toList();
        retries.removeIf(retry -> !retry.at().isAfter(now));
        return due;
    }
}
