package dev.penstock.cli.view;

import dev.penstock.cli.job.EventListener;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Explains to the follower of a job why no event has come yet. It prints a note after a while, and again each time the
 * reason changes. It stops at the first event.
 */
public final class WaitNotes implements EventListener, AutoCloseable {
    public static final Duration PERIOD = Duration.ofSeconds(5);

    private final EventListener listener;
    private final CountDownLatch over = new CountDownLatch(1);

    /** Finds out why the job waits. The answer is empty if the job does not wait, or if the reason is unknown. */
    public interface Question {
        Optional<String> ask() throws InterruptedException;
    }

    private WaitNotes(EventListener listener) {
        this.listener = listener;
    }

    /** @param period the pause before each request for the reason */
    public static WaitNotes start(EventListener listener, Question question, Duration period) {
        WaitNotes notes = new WaitNotes(listener);
        Thread.ofVirtual().name("wait-notes").start(() -> notes.explain(question, period));
        return notes;
    }

    private void explain(Question question, Duration period) {
        String last = "";
        try {
            while (!over.await(period.toMillis(), TimeUnit.MILLISECONDS)) {
                String why = question.ask().orElse("");
                if (!why.isEmpty() && !why.equals(last) && over.getCount() > 0) {
                    listener.note("the job waits: " + why);
                    last = why;
                }
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void on(ValidEvent event) throws Problem {
        over.countDown();
        listener.on(event);
    }

    @Override
    public void note(String line) {
        listener.note(line);
    }

    @Override
    public void close() {
        over.countDown();
    }
}
