package dev.penstock.intake.group;

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
final class OffsetTracker<R> {
    private static final long UNKNOWN = -1;

    private final TreeMap<Long, R> unfinished = new TreeMap<>();
    /** The offsets above {@link #next} that were taken or skipped. */
    private final TreeSet<Long> early = new TreeSet<>();

    private long next;
    private long committed = UNKNOWN;

    /** @param position the offset from which the group reads */
    OffsetTracker(long position) {
        next = position;
    }

    /** Returns the first offset that was neither taken nor skipped. */
    long next() {
        return next;
    }

    /** Returns whether the record at this offset was taken or skipped. */
    boolean isTaken(long offset) {
        return offset < next || early.contains(offset);
    }

    /** Returns how many offsets above {@link #next} were taken or skipped. */
    int takenEarly() {
        return early.size();
    }

    /** Records that every record before this offset was taken or skipped. */
    void reach(long offset) {
        early.headSet(offset).clear();
        next = Math.max(next, offset);
        passEarly();
    }

    /** Marks a record as unfinished. It replaces a record that was taken at this offset before. */
    void take(long offset, R record) {
        skip(offset);
        unfinished.put(offset, record);
    }

    /** Skips a record that needs no run. */
    void skip(long offset) {
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
    boolean isUnfinished(long offset, R record) {
        return record.equals(unfinished.get(offset));
    }

    /** Marks an unfinished record as finished. Does nothing if the record is not unfinished. */
    void finish(long offset, R record) {
        unfinished.remove(offset, record);
    }

    /** Returns the unfinished records, in the order of their offsets. */
    List<R> unfinished() {
        return new ArrayList<>(unfinished.values());
    }

    int size() {
        return unfinished.size();
    }

    /** Returns the offset that the group may commit. All records below it are finished. */
    long committable() {
        Map.Entry<Long, R> first = unfinished.firstEntry();
        return first == null ? next : Math.min(next, first.getKey());
    }

    /** Returns the committable offset; empty if the loop's last commit was for this offset. */
    OptionalLong due() {
        long offset = committable();
        return offset == committed ? OptionalLong.empty() : OptionalLong.of(offset);
    }

    /** Notes that the loop has sent a commit of this offset. */
    void committed(long offset) {
        committed = offset;
    }

    /** Makes the committable offset due again after a failed commit. */
    void commitFailed() {
        committed = UNKNOWN;
    }
}
