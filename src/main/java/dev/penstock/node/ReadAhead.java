package dev.penstock.node;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * What has arrived and is not read yet. The event loop fills it, one thread reads it. Above a size the loop pauses the connection,
 * below another one the reader has it resumed.
 *
 * <p>The loop looks at the size once more after it has paused, since the reader may have emptied the queue in between: it has seen
 * no pause then, and ends none.
 */
final class ReadAhead<T> {
    private final int pauseAbove;
    private final int resumeBelow;
    private final long pauseAboveBytes;
    private final LinkedBlockingQueue<T> queue;
    private volatile boolean paused;
    /** Paused for its bytes: resumed only when all of it is read, as only the number of items is known then. */
    private volatile boolean heavy;
    /** Since all was read; of the event loop. */
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

    /** From any thread. */
    void add(T item) {
        queue.add(item);
    }

    /** By the reader; null: nothing came in time. */
    @Nullable
    T take(long nanos) throws InterruptedException {
        return queue.poll(nanos, TimeUnit.NANOSECONDS);
    }

    /** By the reader, after it has taken something: whether {@link #resumed} is to be called on the event loop. */
    boolean isToResume() {
        return paused && isRead();
    }

    private boolean isRead() {
        return heavy ? queue.isEmpty() : queue.size() < resumeBelow;
    }

    /**
     * On the event loop, after it has added something.
     *
     * @param more bytes that it came from
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

    /** On the event loop. */
    void resumed(Runnable resume) {
        if (paused) {
            paused = false;
            bytes = 0;
            resume.run();
        }
    }
}
