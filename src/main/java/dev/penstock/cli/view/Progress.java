package dev.penstock.cli.view;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Shows the progress of a run on stderr: on a terminal as a bar that is redrawn, else as a line from time to time. */
public final class Progress implements AutoCloseable {
    private static final Duration REDRAWN = Duration.ofMillis(200);
    private static final Duration LOGGED = Duration.ofSeconds(5);

    private final Terminal terminal;
    private final long startedAt = System.nanoTime();
    private final CountDownLatch closed = new CountDownLatch(1);
    /** Guarded by this. */
    private Tally tally;

    private Progress(Terminal terminal, long total) {
        this.terminal = terminal;
        tally = new Tally(total, 0, 0, 0, Duration.ZERO);
    }

    public static Progress start(Terminal terminal, long total) {
        Progress progress = new Progress(terminal, total);
        Thread.ofVirtual().name("penstock-progress").start(progress::redraw);
        return progress;
    }

    private void redraw() {
        Duration pause = terminal.redraws() ? REDRAWN : LOGGED;
        try {
            while (!closed.await(pause.toMillis(), TimeUnit.MILLISECONDS)) {
                draw();
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void draw() {
        tally = tally.after(Duration.ofNanos(System.nanoTime() - startedAt));
        if (terminal.redraws()) {
            terminal.redraw(tally.bar());
        } else {
            terminal.note(tally.numbers());
        }
    }

    /** Sets how many results come from earlier runs. */
    public synchronized void before(long done, long failed) {
        tally = new Tally(tally.total(), done, failed, 0, Duration.ZERO);
    }

    public synchronized void one(boolean completed) {
        tally = tally.plus(completed);
    }

    public synchronized void note(String line) {
        terminal.redraw("");
        terminal.note(line);
    }

    public synchronized Tally tally() {
        return tally;
    }

    @Override
    public void close() {
        closed.countDown();
        draw();
        terminal.endRedrawn();
    }
}
