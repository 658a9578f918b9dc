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
 * What all watchers together have not read yet, in bytes. Beyond its limit the one that has read nothing for the longest time
 * loses its place, then the next one; it can resume. Thread-safe.
 */
public final class WatchRoom {
    private static final int USUAL = 256 * 1024;

    private final int each;
    private final long all;
    private final LongSupplier nanos;
    private final AtomicLong held = new AtomicLong();
    private final Set<Watch> behind = ConcurrentHashMap.newKeySet();

    /**
     * @param each what one watcher may be behind
     * @param all what they may be behind together
     * @param nanos a clock such as {@link System#nanoTime}
     */
    public WatchRoom(int each, long all, LongSupplier nanos) {
        this.each = each;
        this.all = all;
        this.nanos = nanos;
    }

    /** For watches that share nothing. */
    static WatchRoom unshared() {
        return new WatchRoom(USUAL, Long.MAX_VALUE, System::nanoTime);
    }

    int each() {
        return each;
    }

    long now() {
        return nanos.getAsLong();
    }

    /** By a watch, which may hold its lock. */
    void changed(Watch watch, long before, long after) {
        held.addAndGet(after - before);
        if (after > 0) {
            behind.add(watch);
        } else {
            behind.remove(watch);
        }
    }

    /** After something was added to a watch, and without its lock. */
    void bound() {
        while (held.get() > all) {
            if (!drop(Duration.ZERO, 2)) {
                return;
            }
        }
    }

    /** Drops the one that has read nothing for the longest time, if that is so long. */
    boolean drop(Duration atLeast) {
        return drop(atLeast, 1);
    }

    /** @param least one that is alone is never too slow for the others */
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

    /** Bytes, for a test. */
    long held() {
        return held.get();
    }
}
