package dev.penstock.reply;

import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * Limits the bytes that all watchers together have not read yet. Above the limit it drops the watcher that has been
 * idle for the longest time, then the next one, until the bytes are within the limit. A dropped watcher can resume.
 * Thread-safe.
 */
public final class WatchRoom {
    private static final int USUAL = 256 * 1024;

    private final int each;
    private final long all;
    private final LongSupplier nanos;
    private final AtomicLong held = new AtomicLong();
    private final Set<Watch> behind = ConcurrentHashMap.newKeySet();

    /**
     * @param each the limit of one watcher, in bytes
     * @param all the limit of all watchers together, in bytes
     * @param nanos a clock such as {@link System#nanoTime}
     */
    public WatchRoom(int each, long all, LongSupplier nanos) {
        this.each = each;
        this.all = all;
        this.nanos = nanos;
    }

    /** Returns a room for a single watch. */
    static WatchRoom unshared() {
        return new WatchRoom(USUAL, Long.MAX_VALUE, System::nanoTime);
    }

    int each() {
        return each;
    }

    long now() {
        return nanos.getAsLong();
    }

    /** Records a change of a watch's unread bytes. The caller may hold the watch's lock. */
    void changed(Watch watch, long before, long after) {
        held.addAndGet(after - before);
        if (after > 0) {
            behind.add(watch);
        } else {
            behind.remove(watch);
        }
    }

    /** Applies the limit after a watch has grown. The caller must not hold the watch's lock. */
    void bound() {
        while (held.get() > all) {
            if (!drop(Duration.ZERO, 2)) {
                return;
            }
        }
    }

    /** Drops the watch that has been idle for the longest time, if that time is at least the given time. */
    boolean drop(Duration atLeast) {
        return drop(atLeast, 1);
    }

    /**
     * @param least one watch is dropped only if at least this number of watches have unread events; with 2, a single
     *     watch stays, because it cannot block another watch
     */
    private synchronized boolean drop(Duration atLeast, int least) {
        List<Watch> slow = List.copyOf(behind);
        if (slow.size() < least) {
            return false;
        }
        long now = now();
        Optional<Watch> slowest = slow.stream()
                .filter(watch -> now - watch.lastRead() >= atLeast.toNanos())
                .min(Comparator.comparingLong(watch -> watch.lastRead() - now));
        slowest.ifPresent(Watch::drop);
        return slowest.isPresent();
    }

    /** Returns the unread bytes, for a test. */
    long held() {
        return held.get();
    }
}
