package dev.penstock.execution;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** Keeps the events of an execution, each with its attempt. */
final class RecordingSink implements AnswerSink {
    private final List<Recorded> events = new CopyOnWriteArrayList<>();
    private volatile int attempt = -1;
    volatile boolean takesStarted = true;
    volatile boolean takesChunks = true;
    volatile boolean publishes = true;
    volatile boolean startsLate = true;
    volatile boolean startsOver = true;

    record Recorded(int attempt, JobEvent event) {
        @Override
        public String toString() {
            return event.kind().wireName() + " " + attempt;
        }
    }

    @Override
    public void begin(int number) {
        attempt = number;
    }

    @Override
    public boolean started(JobEvent.Started started) {
        return takesStarted && add(started);
    }

    @Override
    public boolean mayStartLate() {
        return startsLate;
    }

    @Override
    public boolean chunk(Answer.Head head, List<TokenEvent> deltas) {
        return takesChunks && add(new JobEvent.Chunk(head, deltas));
    }

    @Override
    public boolean mayStartOver() {
        return startsOver;
    }

    @Override
    public long lastSeq() {
        return events.stream().filter(event -> event.attempt() == attempt).count() - 1;
    }

    @Override
    public boolean awaitPublished() {
        return publishes;
    }

    @Override
    public JobFailure tooLarge(String what) {
        return JobFailure.of(JobFailure.Code.TOO_LARGE, what);
    }

    /** Adds an event to the attempt that began last. */
    boolean add(JobEvent event) {
        return events.add(new Recorded(attempt, event));
    }

    List<JobEvent> events() {
        return events.stream().map(Recorded::event).toList();
    }

    /** Returns the events' names with their attempts, such as started 1. */
    List<String> names() {
        return events.stream().map(Recorded::toString).toList();
    }

    /** Returns the nodes of the attempts, in their order. */
    List<String> nodes() {
        return events().stream()
                .filter(JobEvent.Started.class::isInstance)
                .map(event -> ((JobEvent.Started) event).node())
                .toList();
    }
}
