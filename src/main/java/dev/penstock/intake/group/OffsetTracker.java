package dev.penstock.intake.group;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The offsets of one partition: which records were taken, which of them are unfinished, and how far the group may commit.
 *
 * <p>Every record below {@link #next} was taken or skipped. Some records behind it may be taken early. The committable
 * offset never passes a record that is unfinished or not taken. An offset without a record does not hold it back, once the
 * reader has passed it. It only grows.
 *
 * <p>Not thread-safe.
 *
 * @param <R> what a taken record is known by; compared with {@code equals}
 */
final class OffsetTracker<R> {
    private static final long UNKNOWN = -1;

    private final TreeMap<Long, R> unfinished = new TreeMap<>();
    /** The offsets behind {@link #next} that were taken or skipped. */
    private final TreeSet<Long> early = new TreeSet<>();

    private long next;
    private long committed = UNKNOWN;

    /** @param position where the group reads from */
    OffsetTracker(long position) {
        next = position;
    }

    /** The first offset that was not taken. */
    long next() {
        return next;
    }

    /** Whether the record at this offset was taken or skipped. */
    boolean isTaken(long offset) {
        return offset < next || early.contains(offset);
    }

    /** How many offsets behind {@link #next} were taken or skipped. */
    int takenEarly() {
        return early.size();
    }

    /** There is no record before this offset that is still to be taken. */
    void reach(long offset) {
        early.headSet(offset).clear();
        next = Math.max(next, offset);
        passEarly();
    }

    /** The record is in work. A record that was taken before is replaced. */
    void take(long offset, R record) {
        skip(offset);
        unfinished.put(offset, record);
    }

    /** Nothing has to be done with the record. */
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

    /** Whether this record is in work. */
    boolean isUnfinished(long offset, R record) {
        return record.equals(unfinished.get(offset));
    }

    /** The record is done with. No effect if it is not in work. */
    void finish(long offset, R record) {
        unfinished.remove(offset, record);
    }

    /** The records in work, in the order of their offsets. */
    List<R> unfinished() {
        return new ArrayList<>(unfinished.values());
    }

    int size() {
        return unfinished.size();
    }

    /** The offset that the group may commit: everything below it is done. */
    long committable() {
        Map.Entry<Long, R> first = unfinished.firstEntry();
        return first == null ? next : Math.min(next, first.getKey());
    }

    /** The committable offset, unless it was the last one that the loop committed. */
    OptionalLong due() {
        long offset = committable();
        return offset == committed ? OptionalLong.empty() : OptionalLong.of(offset);
    }

    /** The loop has sent a commit of this offset. */
    void committed(long offset) {
        committed = offset;
    }

    /** A commit failed: the committable offset is due again. */
    void commitFailed() {
        committed = UNKNOWN;
    }
}
