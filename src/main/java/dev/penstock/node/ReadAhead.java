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
    private final LinkedBlockingQueue<T> queue;
    private volatile boolean paused;

    ReadAhead(int pauseAbove, int resumeBelow) {
        this(pauseAbove, resumeBelow, new LinkedBlockingQueue<>());
    }

    ReadAhead(int pauseAbove, int resumeBelow, LinkedBlockingQueue<T> queue) {
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
        return paused && queue.size() < resumeBelow;
    }

    /** On the event loop, after it has added something. */
    void filled(Runnable pause, Runnable resume) {
        if (!paused && queue.size() > pauseAbove) {
            paused = true;
            pause.run();
            if (queue.size() < resumeBelow) {
                resumed(resume);
            }
        }
    }

    /** On the event loop. */
    void resumed(Runnable resume) {
        if (paused) {
            paused = false;
            resume.run();
        }
    }
}
