package dev.penstock.node.http;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
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
    private final LinkedBlockingQueue<T> queue;
    private volatile boolean paused;
    /**
     * Whether the number of bytes caused the pause. Such a pause lasts until the queue is empty, because the queue does
     * not know the bytes of the items that are left.
     */
    private volatile boolean heavy;
    /** The number of bytes that were added since the queue was last empty; owned by the event loop. */
    private long bytes;

    ReadAhead(int pauseAbove, int resumeBelow, long pauseAboveBytes) {
        this(pauseAbove, resumeBelow, pauseAboveBytes, new LinkedBlockingQueue<>());
    }

    ReadAhead(int pauseAbove, int resumeBelow, long pauseAboveBytes, LinkedBlockingQueue<T> queue) {
        this.pauseAboveBytes = pauseAboveBytes;
        this.pauseAbove = pauseAbove;
        this.resumeBelow = resumeBelow;
        this.queue = queue;
    }

    /** Adds an item; called from any thread. */
    void add(T item) {
        queue.add(item);
    }

    /** Takes the next item; called by the reader. Returns null if no item came in time. */
    @Nullable
    T take(long nanos) throws InterruptedException {
        return queue.poll(nanos, TimeUnit.NANOSECONDS);
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
