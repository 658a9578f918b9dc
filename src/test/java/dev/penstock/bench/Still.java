package dev.penstock.bench;

import dev.penstock.testkit.ChildProcess;

/**
 * A process that is stopped (SIGSTOP) until its release. The process stays warm and idle while its work is prepared.
 */
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

    /** @return the time of the release, by {@link System#nanoTime} */
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
