package dev.penstock.execution;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PublishedText;
import dev.penstock.node.Node;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * Numbers the attempts of an execution, and passes their events to the sink. An attempt has its number from its beginning,
 * but counts only when {@code started} is published: a hedged attempt that ends earlier leaves no trace, and the job's
 * next run has the same number. Not thread-safe: the thread of the run owns it.
 */
final class AttemptEvents {
    private final Work work;
    private final AnswerSink sink;
    private final StopSignal signal;
    private final Transcript transcript;
    private int firstAttempt;
    private int lastAttempt;

    /* The current attempt. */
    private int number;
    private Instant begun = Instant.EPOCH;
    private PublishedText.@Nullable Place continued;
    private JobEvent.@Nullable Started started;

    AttemptEvents(Work work, AnswerSink sink, StopSignal signal, Transcript transcript) {
        this.work = work;
        this.sink = sink;
        this.signal = signal;
        this.transcript = transcript;
        lastAttempt = work.lastAttempt();
    }

    /** Returns the first started attempt of this execution; 0 if there is none. */
    int firstAttempt() {
        return firstAttempt;
    }

    /** Returns the last started attempt of the job; 0 if there is none. */
    int lastAttempt() {
        return lastAttempt;
    }

    /** Returns the number of the current attempt. */
    int number() {
        return number;
    }

    /** Returns the event {@code started} of the current attempt; null if it is not published. */
    JobEvent.@Nullable Started started() {
        return started;
    }

    /** @param from the last chunk of the text that the attempt continues; null if it starts over */
    void begin(Instant now, PublishedText.@Nullable Place from) {
        number = lastAttempt + 1;
        sink.begin(number);
        begun = now;
        continued = from;
        started = null;
    }

    /**
     * Publishes {@code started} for the current attempt.
     *
     * @return false if the event is too large
     */
    boolean start(Node node, String model) throws InterruptedException {
        JobEvent.Started event = new JobEvent.Started(
                node.name(),
                node.settings().backend().wireName(),
                model,
                begun,
                work.record(),
                work.job().metadata(),
                continued);
        if (!sink.started(event)) {
            return false;
        }
        started = event;
        lastAttempt = number;
        firstAttempt = firstAttempt == 0 ? number : firstAttempt;
        return true;
    }

    JobFailure tooLargeStart() {
        return sink.tooLarge("the event 'started' is too large");
    }

    /**
     * Publishes the chunks of an attempt, and returns how the attempt ended. Its requests are over then. If {@code started}
     * was not published before, it is published at the first token, else at the end. It stays out if the run publishes
     * nothing more, or if it is too large.
     */
    AttemptStream.End read(AttemptStream attempt, AttemptTrace trace) throws InterruptedException {
        Node first = attempt.slot().node();
        String model = attempt.requestedModel();
        try {
            while (true) {
                switch (attempt.next()) {
                    case AttemptStream.Progress.Spoke() -> {
                        Node node = attempt.slot().node();
                        if (node != first) {
                            trace.movedTo(node.settings(), attempt.requestedModel());
                        }
                        if (!start(node, attempt.requestedModel())) {
                            return new AttemptStream.End.Failed(tooLargeStart());
                        }
                    }
                    case AttemptStream.Progress.Chunk(Answer.Head head, var deltas) -> {
                        if (!sink.chunk(head, deltas)) {
                            return new AttemptStream.End.Failed(sink.tooLarge("a part of the answer cannot be cut")
                                    .atNode(attempt.slot().node().name()));
                        }
                        transcript.published(sink.lastSeq());
                    }
                    case AttemptStream.Progress.Ended(AttemptStream.End end) -> {
                        if (started == null && !signal.isOver()) {
                            boolean isWhole = end instanceof AttemptStream.End.Whole;
                            var _ = isWhole
                                    ? start(attempt.slot().node(), attempt.requestedModel())
                                    : start(first, model);
                        }
                        return end;
                    }
                }
            }
        } finally {
            attempt.hangUp();
        }
    }
}
