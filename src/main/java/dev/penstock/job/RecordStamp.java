package dev.penstock.job;

import java.util.Collection;
import java.util.Comparator;
import org.jspecify.annotations.Nullable;

/**
 * A job's record, in the order of the duplicate rule: by time, then by place. A deferred record counts as its origin.
 *
 * @param millis the record's timestamp
 */
public record RecordStamp(long millis, RecordPlace place) implements Comparable<RecordStamp> {
    private static final Comparator<RecordStamp> ORDER = Comparator.comparingLong(RecordStamp::millis)
            .thenComparing(stamp -> stamp.place.topic())
            .thenComparingInt(stamp -> stamp.place.partition())
            .thenComparingLong(stamp -> stamp.place.offset());

    /** Returns the same record after a change of the topic's name. */
    public RecordStamp ofTopic(String before, String after) {
        return new RecordStamp(millis, place.ofTopic(before, after));
    }

    @Override
    public int compareTo(RecordStamp other) {
        return ORDER.compare(this, other);
    }

    /**
     * The duplicate rule: returns whether another record runs this record's job. A duplicate does not run. It is
     * acknowledged after the job has an outcome, because the other record may yet turn out to be the duplicate.
     *
     * @param known the known records with the same id, with or without this one
     * @param started the record that the last valid {@code started} names; null if the job never started. While the job
     *     is open this record is no duplicate: otherwise two records could each wait for the other
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
