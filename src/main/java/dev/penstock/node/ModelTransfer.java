package dev.penstock.node;

import dev.penstock.job.JobFailure;
import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A model on its way to a node, or into its memory: one for all who ask for it, and it goes on when they have left.
 * Thread-safe.
 */
public final class ModelTransfer {
    private final String node;
    private final String model;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition moved = lock.newCondition();

    /* Guarded by the lock. */
    private State state = new State.Running("starting", null, null, null);
    private long moves = 1;

    /** Where it is. */
    public sealed interface State {
        /**
         * @param percent null: the server does not say
         * @param completed bytes, as far as they are known; null where none are
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

    /** Somebody who watches from now on. */
    public Watch watch() {
        return new Watch();
    }

    /** What one watcher has seen. Used by one thread after the other. */
    public final class Watch {
        private long seen;

        public ModelTransfer transfer() {
            return ModelTransfer.this;
        }

        /**
         * Where it is, once that is another place than what was seen last; what came and went between is left out.
         *
         * @return null: nothing moved in this time
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
