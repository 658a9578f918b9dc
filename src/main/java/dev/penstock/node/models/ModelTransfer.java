package dev.penstock.node.models;

import dev.penstock.job.JobFailure;
import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The pull or load of a model at a node. All callers that request the same model share one transfer. The transfer
 * continues after they leave. Thread-safe.
 */
public final class ModelTransfer {
    private final String node;
    private final String model;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition moved = lock.newCondition();

    /* Guarded by the lock. */
    private State state = new State.Running("starting", null, null, null);
    private long moves = 1;

    /** The progress of a transfer. */
    public sealed interface State {
        /**
         * @param percent the progress in percent; null if the server does not report it
         * @param completed the number of bytes so far; null if it is unknown
         */
        record Running(
                String status,
                @Nullable Double percent,
                @Nullable Long completed,
                @Nullable Long total) implements State {}

        record Done() implements State {}

        record Failed(JobFailure failure) implements State {}
    }

    ModelTransfer(String node, String model) {
        this.node = node;
        this.model = model;
    }

    public String node() {
        return node;
    }

    public String model() {
        return model;
    }

    void become(State next) {
        lock.lock();
        try {
            if (!next.equals(state)) {
                state = next;
                moves++;
                moved.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    /** Returns a new watcher. */
    public Watch watch() {
        return new Watch();
    }

    /** The progress that one watcher has seen. Threads may use it one after the other. */
    public final class Watch {
        private long seen;

        public ModelTransfer transfer() {
            return ModelTransfer.this;
        }

        /**
         * Waits until the state differs from the last state that this watcher saw, and returns it. States in between
         * are skipped.
         *
         * @return the new state; null if nothing changed in this time
         */
        public @Nullable State next(Duration atMost) throws InterruptedException {
            lock.lockInterruptibly();
            try {
                long left = atMost.toNanos();
                while (moves == seen && left > 0) {
                    left = moved.awaitNanos(left);
                }
                if (moves == seen) {
                    return null;
                }
                seen = moves;
                return state;
            } finally {
                lock.unlock();
            }
        }
    }
}
