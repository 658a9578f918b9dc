package dev.penstock.kafka;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Tracks the offsets of one partition: which records were taken, which of them are unfinished, and which offset the
 * group may commit.
 *
 * <p>Every record below {@link #next} was taken or skipped. Some later records may have been taken early. The
 * committable offset only grows. It never exceeds the offset of a record that is unfinished or was not taken. An
 * offset without a record stops limiting the committable offset when the reader has read beyond it.
 *
 * <p>Not thread-safe.
 *
 * @param <R> the type that identifies a taken record; compared with {@code equals}
 */
public final class OffsetTracker<R> {
    private static final long UNKNOWN = -1;

    private final TreeMap<Long, R> unfinished = new TreeMap<>();
    /** The offsets above {@link #next} that were taken or skipped. */
    private final TreeSet<Long> early = new TreeSet<>();

    private long next;
    private long committed = UNKNOWN;

    /** @param position the offset from which the group reads */
    public OffsetTracker(long position) {
        next = position;
    }

    /** Returns the first offset that was neither taken nor skipped. */
    public long next() {
        return next;
    }

    /** Returns whether the record at this offset was taken or skipped. */
    public boolean isTaken(long offset) {
        return offset < next || early.contains(offset);
    }

    /** Returns how many offsets above {@link #next} were taken or skipped. */
    public int takenEarly() {
        return early.size();
    }

    /** Records that every record before this offset was taken or skipped. */
    public void reach(long offset) {
        early.headSet(offset).clear();
        next = Math.max(next, offset);
        passEarly();
    }

    /** Marks a record as unfinished. It replaces a record that was taken at this offset before. */
    public void take(long offset, R record) {
        skip(offset);
        unfinished.put(offset, record);
    }

    /** Skips a record that needs no run. */
    public void skip(long offset) {
        if (!isTaken(offset)) {
            early.add(offset);
            passEarly();
        }
    }

    private void passEarly() {
        while (early.remove(next)) {
            next++;
        }
    }

    /** Returns whether this record is unfinished. */
    public boolean isUnfinished(long offset, R record) {
        return record.equals(unfinished.get(offset));
    }

    /** Marks an unfinished record as finished. Does nothing if the record is not unfinished. */
    public void finish(long offset, R record) {
        unfinished.remove(offset, record);
    }

    /** Returns the unfinished records, in the order of their offsets. */
    public List<R> unfinished() {
        return new ArrayList<>(unfinished.values());
    }

    public int size() {
        return unfinished.size();
    }

    /** Returns the offset that the group may commit. All records below it are finished. */
    public long committable() {
        Map.Entry<Long, R> first = unfinished.firstEntry();
        return first == null ? next : Math.min(next, first.getKey());
    }

    /** Returns the committable offset; empty if the loop's last commit was for this offset. */
    public OptionalLong due() {
        long offset = committable();
        return offset == committed ? OptionalLong.empty() : OptionalLong.of(offset);
    }

    /** Notes that the loop has sent a commit of this offset. */
    public void committed(long offset) {
        committed = offset;
    }

    /** Makes the committable offset due again after a failed commit. */
    public void commitFailed() {
        committed = UNKNOWN;
    }
}
