package dev.penstock.schedule;

import java.util.concurrent.locks.Condition;
import org.jspecify.annotations.Nullable;

/** A thread that waits in the scheduler. Guarded by the scheduler's lock. */
final class Waiter {
    final QueueEntry entry;
    final Wait wait;
    final Condition ended;

    /** How the wait ended; null while it lasts. */
    @Nullable
    Admission admission;

    Waiter(QueueEntry entry, Wait wait, Condition ended) {
        this.entry = entry;
        this.wait = wait;
        this.ended = ended;
    }

    void end(Admission how) {
        admission = how;
        ended.signal();
    }
}
