package dev.penstock.node.http;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A queue of data that has arrived and is not read yet. The event loop fills it, and one thread reads it. Above a
 * size the loop pauses the connection. Below another size the reader resumes it.
 *
 * <p>After a pause the loop checks the size once more. The reader may have emptied the queue in between, without
 * seeing the pause. Then the loop itself resumes.
 */
final class ReadAhead<T> {
    private final int pauseAbove;
    private final int resumeBelow;
    private final long pauseAboveBytes;
    private final LinkedBlockingQueue<T> queue;
    private volatile boolean paused;
    /**
     * The pause is due to bytes. It lasts until the queue is empty, because only the number of items is known later.
     */
    private volatile boolean heavy;
    /** The bytes since the queue was last empty; owned by the event loop. */
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

    /** Called from any thread. */
    void add(T item) {
        queue.add(item);
    }

    /** Called by the reader. Returns null if nothing came in time. */
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
     * Called on the event loop after an add.
     *
     * @param more the bytes that arrived for it
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

    /** Called on the event loop. */
    void resumed(Runnable resume) {
        if (paused) {
            paused = false;
            bytes = 0;
            resume.run();
        }
    }
}
