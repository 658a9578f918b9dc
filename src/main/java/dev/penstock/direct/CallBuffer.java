package dev.penstock.direct;

import dev.penstock.job.Answer;
import dev.penstock.job.TokenEvent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The part of an answer that its caller has not read yet. One thread writes, one thread reads. If the buffer is full, the
 * writer waits, so that the node waits too. Thread-safe.
 */
final class CallBuffer {
    /** The approximate memory of an event without its text, in bytes. */
    private static final int EVENT = 64;
    /** The approximate memory of an event whose value is a JSON document. */
    private static final int DOCUMENT = 2_048;

    private final long most;
    private final Duration patience;
    private final CallRoom room;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    /* All below are guarded by the lock. */
    private List<TokenEvent> unread = new ArrayList<>();
    private long bytes;
    private Answer.@Nullable Head head;
    private DirectCall.@Nullable Next end;

    /**
     * @param most the largest size of the unread part, in bytes
     * @param patience how long the writer waits for a reader that reads nothing
     * @param room the room that all calls share
     */
    CallBuffer(long most, Duration patience, CallRoom room) {
        this.most = most;
        this.patience = patience;
        this.room = room;
    }

    /**
     * Adds a piece of the answer, as soon as there is room. One piece always has room. After the end, pieces are lost.
     *
     * @return false if the reader has read nothing for too long; then the piece is lost
     */
    boolean put(Answer.Head of, List<TokenEvent> deltas) throws InterruptedException {
        long size = deltas.stream().mapToLong(CallBuffer::size).sum();
        lock.lockInterruptibly();
        try {
            long left = patience.toNanos();
            while (end == null && !unread.isEmpty() && (bytes + size > most || room.isFullWith(size))) {
                if (left <= 0) {
                    return false;
                }
                left = changed.awaitNanos(left);
            }
            if (end == null) {
                head = of;
                unread.addAll(deltas);
                bytes += size;
                room.add(size);
                changed.signalAll();
            }
            return true;
        } finally {
            lock.unlock();
        }
    }

    /** Ends the answer. Only the first end counts. The reader gets the unread part first. */
    void end(DirectCall.Next how) {
        lock.lock();
        try {
            if (end == null) {
                end = how;
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Ends the answer at once, whatever is unread. */
    void abandon() {
        lock.lock();
        try {
            empty();
            end = new DirectCall.Next.Left();
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Waits for the next part of the answer. It holds all pieces that have come. */
    DirectCall.Next take() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (unread.isEmpty() && end == null) {
                changed.await();
            }
            Answer.Head of = head;
            if (unread.isEmpty() || of == null) {
                return end == null ? new DirectCall.Next.Left() : end;
            }
            List<TokenEvent> taken = unread;
            empty();
            changed.signalAll();
            return new DirectCall.Next.Piece(of, taken);
        } finally {
            lock.unlock();
        }
    }

    private void empty() {
        unread = new ArrayList<>();
        room.add(-bytes);
        bytes = 0;
    }

    private static long size(TokenEvent event) {
        return switch (event) {
            case TokenEvent.Thinking _, TokenEvent.Logprobs _, TokenEvent.Embedding _ -> DOCUMENT;
            case TokenEvent.Text _,
                    TokenEvent.ToolCall _,
                    TokenEvent.Model _,
                    TokenEvent.Role _,
                    TokenEvent.Finish _,
                    TokenEvent.Scored _,
                    TokenEvent.Spent _,
                    TokenEvent.End _,
                    TokenEvent.Broken _ -> EVENT + 2L * event.chars();
        };
    }
}
