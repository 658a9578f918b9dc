package dev.penstock.node.http;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * A queue of data that has arrived but is not read yet. The event loop fills the queue, and one thread reads it. When
 * the queue is too long, the loop pauses the connection. When it is short enough again, the reader resumes the
 * connection.
 *
 * <p>After it pauses the connection, the loop checks the queue once more. The reader may have emptied the queue
 * meanwhile, without seeing the pause. In this case, the loop itself resumes the connection.
 */
final class ReadAhead<T> {
    private final int pauseAbove;
    private final int resumeBelow;
    private final long pauseAboveBytes;
    private final ToIntFunction<T> weight;
    private final LinkedBlockingQueue<T> queue;
    /** The sum of the weights of the items in the queue. */
    private final AtomicLong weights = new AtomicLong();

    private volatile long wanted;
    /** The thread that waits for this weight; null if none does. */
    private volatile @Nullable Thread reader;

    private volatile boolean paused;
    /**
     * Whether the number of bytes caused the pause. Such a pause lasts until the queue is empty, because the queue does
     * not know the bytes of the items that are left.
     */
    private volatile boolean heavy;
    /** The number of bytes that were added since the queue was last empty; owned by the event loop. */
    private long bytes;

    /** @param weight returns how much an item counts towards the weight that a reader waits for */
    ReadAhead(int pauseAbove, int resumeBelow, long pauseAboveBytes, ToIntFunction<T> weight) {
        this(pauseAbove, resumeBelow, pauseAboveBytes, weight, new LinkedBlockingQueue<>());
    }

    ReadAhead(
            int pauseAbove,
            int resumeBelow,
            long pauseAboveBytes,
            ToIntFunction<T> weight,
            LinkedBlockingQueue<T> queue) {
        this.weight = weight;
        this.pauseAboveBytes = pauseAboveBytes;
        this.pauseAbove = pauseAbove;
        this.resumeBelow = resumeBelow;
        this.queue = queue;
    }

    /** Adds an item; called from any thread. */
    void add(T item) {
        queue.add(item);
        // the reader sets its fields before it looks at the weight, so it sees the new weight, or this sees the reader
        long now = weights.addAndGet(weight.applyAsInt(item));
        Thread waiting = reader;
        if (waiting != null && now >= wanted) {
            LockSupport.unpark(waiting);
        }
    }

    /**
     * Takes the next item; called by the reader. Returns null if no item came in time.
     *
     * @param atLeast waits until the items in the queue have this weight, or until the time is over; 0 to take the next
     *     item at once
     */
    @Nullable
    T take(long nanos, int atLeast) throws InterruptedException {
        T item;
        if (atLeast > 0) {
            awaitWeight(nanos, atLeast);
            item = queue.poll();
        } else {
            item = queue.poll(nanos, TimeUnit.NANOSECONDS);
        }
        if (item != null) {
            weights.addAndGet(-weight.applyAsInt(item));
        }
        return item;
    }

    private void awaitWeight(long nanos, int atLeast) throws InterruptedException {
        long end = System.nanoTime() + nanos;
        wanted = atLeast;
        reader = Thread.currentThread();
        try {
            long left = nanos;
            while (left > 0 && weights.get() < atLeast) {
                if (Thread.interrupted()) {
                    throw new InterruptedException();
                }
                LockSupport.parkNanos(this, left);
                left = end - System.nanoTime();
            }
        } finally {
            reader = null;
        }
    }

    /** Called by the reader after a take. Returns whether the reader must call {@link #resumed} on the event loop. */
    boolean isToResume() {
        return paused && isRead();
    }

    private boolean isRead() {
        return heavy ? queue.isEmpty() : queue.size() < resumeBelow;
    }

    /**
     * Called on the event loop after an item was added.
     *
     * @param more the number of bytes of this item
     */
    void filled(int more, Runnable pause, Runnable resume) {
        int size = queue.size();
        bytes = size == 0 ? 0 : bytes + more;
        if (!paused && (size > pauseAbove || bytes > pauseAboveBytes)) {
            heavy = bytes > pauseAboveBytes;
            paused = true;
            pause.run();
            if (isRead()) {
                resumed(resume);
            }
        }
    }

    /** Resumes the connection; called on the event loop. */
    void resumed(Runnable resume) {
        if (paused) {
            paused = false;
            bytes = 0;
            resume.run();
        }
    }
}
