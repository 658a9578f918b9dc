package dev.penstock.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;

/** A process held still (SIGSTOP) until it is let go: its work can be laid out while it is warm and does nothing. */
final class Still implements AutoCloseable {
    private final long pid;
    private boolean held = true;

    private Still(long pid) {
        this.pid = pid;
    }

    static Still hold(long pid) {
        signal("-STOP", pid);
        return new Still(pid);
    }

    /** @return when it was let go, by {@link System#nanoTime} */
    long letGo() {
        long now = System.nanoTime();
        held = false;
        signal("-CONT", pid);
        return now;
    }

    @Override
    public void close() {
        if (held) {
            letGo();
        }
    }

    private static void signal(String signal, long pid) {
        try {
            Process kill = new ProcessBuilder(List.of("kill", signal, Long.toString(pid)))
                    .inheritIO()
                    .start();
            if (kill.onExit().join().exitValue() != 0) {
                throw new IllegalStateException("process " + pid + " cannot be sent " + signal);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
