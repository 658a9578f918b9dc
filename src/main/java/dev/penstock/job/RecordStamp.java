package dev.penstock.job;

import java.util.Collection;
import java.util.Comparator;
import org.jspecify.annotations.Nullable;

/**
 * The time and the place of a job's record. The duplicate rule orders records by time, then by place. A deferred record
 * has the stamp of its origin.
 *
 * @param millis the record's timestamp
 */
public record RecordStamp(long millis, RecordPlace place) implements Comparable<RecordStamp> {
    private static final Comparator<RecordStamp> ORDER = Comparator.comparingLong(RecordStamp::millis)
            .thenComparing(stamp -> stamp.place.topic())
            .thenComparingInt(stamp -> stamp.place.partition())
            .thenComparingLong(stamp -> stamp.place.offset());

    /** Returns this stamp with the topic's new name, if its topic was renamed. */
    public RecordStamp ofTopic(String before, String after) {
        return new RecordStamp(millis, place.ofTopic(before, after));
    }

    @Override
    public int compareTo(RecordStamp other) {
        return ORDER.compare(this, other);
    }

    /**
     * Applies the duplicate rule: returns whether another record runs this record's job. A duplicate does not run. It
     * is acknowledged only after the job has an outcome, because until then the other record may turn out to be the
     * duplicate.
     *
     * @param known the known records with the same id, which may include this record
     * @param started the record to which the last valid {@code started} refers; null if the job never started. As long
     *     as the job has no outcome, that record is no duplicate, because otherwise two records could each wait for the
     *     other
     * @param closed whether the job has an outcome
     */
    public boolean isDuplicate(Collection<RecordStamp> known, @Nullable RecordPlace started, boolean closed) {
        if (closed) {
            return true;
        }
        if (place.equals(started)) {
            return false;
        }
        return started != null || known.stream().anyMatch(other -> other.compareTo(this) < 0);
    }
}
