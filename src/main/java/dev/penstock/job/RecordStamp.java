package dev.penstock.job;

import java.util.Collection;
import java.util.Comparator;
import org.jspecify.annotations.Nullable;

/**
 * A job's record as the duplicate rule orders it: by time, then by place. A copy counts as its origin.
 *
 * @param millis the record's timestamp
 */
public record RecordStamp(long millis, RecordPlace place) implements Comparable<RecordStamp> {
    private static final Comparator<RecordStamp> ORDER = Comparator.comparingLong(RecordStamp::millis)
            .thenComparing(stamp -> stamp.place.topic())
            .thenComparingInt(stamp -> stamp.place.partition())
            .thenComparingLong(stamp -> stamp.place.offset());

    /** The same record after a topic has got another name. */
    public RecordStamp ofTopic(String before, String after) {
        return new RecordStamp(millis, place.ofTopic(before, after));
    }

    @Override
    public int compareTo(RecordStamp other) {
        return ORDER.compare(this, other);
    }

    /**
     * The duplicate rule: whether this record's job is another record's to run. A duplicate is not run, and not
     * acknowledged either before the job has an outcome: the other may yet be the one that is set aside.
     *
     * @param known the records of the same id that are known, this one among them or not
     * @param named the record that the last valid {@code started} names; null: the job never started. While the job is open it
     *     is no duplicate, or two records could each wait for the other
     * @param closed whether the job has an outcome
     */
    public boolean isDuplicate(Collection<RecordStamp> known, @Nullable RecordPlace named, boolean closed) {
        if (closed) {
            return true;
        }
        if (place.equals(named)) {
            return false;
        }
        return named != null || known.stream().anyMatch(other -> other.compareTo(this) < 0);
    }
}
