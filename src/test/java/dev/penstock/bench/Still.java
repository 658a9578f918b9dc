package dev.penstock.bench;

import dev.penstock.testkit.ChildProcess;

/** A process held still (SIGSTOP) until it is let go: its work can be laid out while it is warm and does nothing. */
final class Still implements AutoCloseable {
    private final long pid;
    private boolean held = true;

    private Still(long pid) {
        this.pid = pid;
    }

    static Still hold(long pid) {
        ChildProcess.signal("STOP", pid);
        return new Still(pid);
    }

    /** @return when it was let go, by {@link System#nanoTime} */
    long letGo() {
        long now = System.nanoTime();
        held = false;
        ChildProcess.signal("CONT", pid);
        return now;
    }

    @Override
    public void close() {
        if (held) {
            letGo();
        }
    }
}
