package dev.penstock.cli;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Tells whoever follows a job why nothing comes, until its first event: after a while, and when the reason changes. */
final class WaitNotes implements EventListener, AutoCloseable {
    static final Duration PERIOD = Duration.ofSeconds(5);

    private final EventListener listener;
    private final CountDownLatch over = new CountDownLatch(1);

    /** Says why the job waits; empty: it does not, or nobody knows. */
    interface Question {
        Optional<String> ask() throws InterruptedException;
    }

    private WaitNotes(EventListener listener) {
        this.listener = listener;
    }

    /** @param period how long nothing may come before it is asked why, and again after that */
    static WaitNotes start(EventListener listener, Question question, Duration period) {
        WaitNotes notes = new WaitNotes(listener);
        Thread.ofVirtual().name("wait-notes").start(() -> notes.tell(question, period));
        return notes;
    }

    private void tell(Question question, Duration period) {
        String told = "";
        try {
            while (!over.await(period.toMillis(), TimeUnit.MILLISECONDS)) {
                String why = question.ask().orElse("");
                if (!why.isEmpty() && !why.equals(told) && over.getCount() > 0) {
                    listener.note("the job waits: " + why);
                    told = why;
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
