package dev.penstock.direct;

import java.util.concurrent.atomic.AtomicLong;

/** Counts the unread parts of the answers of all calls. Thread-safe. */
final class CallRoom {
    private final AtomicLong used = new AtomicLong();
    private final long most;

    /** @param most the number of bytes from which on each call may have only one unread piece */
    CallRoom(long most) {
        this.most = most;
    }

    boolean isFullWith(long bytes) {
        return used.get() + bytes > most;
    }

    /** @param bytes below zero to give room back */
    void add(long bytes) {
        used.addAndGet(bytes);
    }

    /** Returns the bytes of all unread parts. Only tests use it. */
    long used() {
        return used.get();
    }
}
