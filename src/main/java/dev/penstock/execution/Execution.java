package dev.penstock.execution;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Usage;
import dev.penstock.node.Node;
import dev.penstock.schedule.Admission;
import dev.penstock.schedule.QueueEntry;
import dev.penstock.settings.Settings;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One execution of a job. It waits for a node, makes an attempt, and tries again after a failure, until the job has an
 * outcome, is deferred or is released. Its thread owns it; other threads may call {@link #isWaiting}.
 */
public final class Execution {
    private final Work work;
    private final PromptJob job;
    private final QueueEntry entry;
    private final AnswerSink sink;
    private final StopSignal signal;
    private final Owner owner;
    private final ExecutionContext context;
    private final RetryPlan plan;
    private final ContinuePlan continuePlan;
    private final Transcript transcript;
    private TimeLimits limits;
    private int firstAttempt;
    private int lastAttempt;
    private int outcomeAttempt;
    private @Nullable Long queuedMillis;
    /** The failure of the last attempt; null if there is none. */
    private @Nullable JobFailure last;

    private volatile boolean waiting = true;

    /** Knows whether the job still belongs to the run. */
    @FunctionalInterface
    public interface Owner {
        /** Returns whether the job still belongs to this run. The execution asks this before each further attempt. */
        boolean stillOwns() throws InterruptedException;
    }

    /** How an execution ended. */
    public sealed interface Result {
        /** The job has an outcome. The outcome belongs to the attempt that the sink began last. */
        record Concluded(Outcome outcome) implements Result {}

        /**
         * The job makes room for other jobs, and continues later.
         *
         * @param left the time left for the job
         */
        record Deferred(Admission.Cause cause, Duration left) implements Result {}

        /** The run was stopped, or does not own the job any more. There is no outcome. */
        record Released() implements Result {}
    }

    /** The next step after an attempt. */
    private sealed interface Step {
        record Done(Result result) implements Step {}

        record Again(JobFailure failure, boolean elsewhere) implements Step {}
    }

    /** @param entry the job's queue entry; the caller closes it */
    public Execution(
            Work work, QueueEntry entry, AnswerSink sink, StopSignal signal, Owner owner, ExecutionContext context) {
        this.work = work;
        job = work.job();
        this.entry = entry;
        this.sink = sink;
        this.signal = signal;
        this.owner = owner;
        this.context = context;
        Settings.Retries retries = work.rule().retries().over(context.settings().retries());
        int maxAttempts = Objects.requireNonNullElse(job.maxAttempts(), retries.maxAttempts());
        plan = new RetryPlan(retries, maxAttempts, work.failures(), context.chance());
        Settings.Continuing continuing = context.settings().continuing();
        continuePlan = new ContinuePlan(continuing, work.rule().set().parameters());
        transcript = new Transcript(ContinuePlan.mayContinue(continuing, job));
        if (work.published() != null) {
            transcript.recover(work.published());
        }
        limits = new TimeLimits(job, work.firstStarted());
        lastAttempt = work.lastAttempt();
        outcomeAttempt = work.outcomeAttempt();
    }

    /** Returns whether no attempt is running. */
    public boolean isWaiting() {
        return waiting;
    }

    /** Returns the first attempt of this execution; 0 if there is none. */
    public int firstAttempt() {
        return firstAttempt;
    }

    /** Returns the last attempt of the job; 0 if there is none. */
    public int lastAttempt() {
        return lastAttempt;
    }

    /** Returns how many failed attempts of the job count against its max_attempts, including those of earlier runs. */
    public int failures() {
        return plan.counted();
    }

    /** Executes the job. */
    public Result run() throws InterruptedException {
        try {
            return execute();
        } finally {
            // free the text: the outcome has its own copy
            transcript.startOver();
        }
    }

    private Result execute() throws InterruptedException {
        while (true) {
            switch (await()) {
                case Admission.Unservable(JobFailure failure) -> {
                    return withoutAttempt(new JobEvent.Failed(failure, null, job.metadata()));
                }
                case Admission.Stopped() -> {
                    return stopped();
                }
                case Admission.Deferred(Admission.Cause cause) -> {
                    return new Result.Deferred(cause, left());
                }
                case Admission.TimedOut() -> {
                    return withoutAttempt(limits.over(null, last));
                }
                case Admission.Granted(Node.Slot slot, String model) -> {
                    switch (attempt(slot, model)) {
                        case Step.Done(Result result) -> {
                            return result;
                        }
                        case Step.Again(JobFailure failure, boolean elsewhere) -> {
                            last = failure;
                            outcomeAttempt = lastAttempt + 1;
                            if (elsewhere && !entry.hasOther(plan.useless())) {
                                return withoutAttempt(new JobEvent.Failed(failure, null, job.metadata()));
                            }
                            if (!signal.isGiven() && !owner.stillOwns()) {
                                return new Result.Released();
                            }
                        }
                    }
                }
            }
        }
    }

    private Admission await() throws InterruptedException {
        try (var _ = signal.wakeBy(entry::stop)) {
            return entry.await(plan.avoid(), left());
        }
    }

    private Step attempt(Node.Slot held, String model) throws InterruptedException {
        waiting = false;
        try (Node.Slot slot = held) {
            Node node = slot.node();
            PublishedText continued =
                    continuePlan.at(node, job, model, transcript.continuable()).orElse(null);
            count(node, continued);
            Instant now = now();
            if (limits.firstStarted() == null
                    && !context.settings().routing().rules().isEmpty()) {
                context.meters().routed(work.rule(), node);
            }
            begin(node, model, continued, now);
            JobEvent.Started started = new JobEvent.Started(
                    node.name(),
                    node.settings().backend().wireName(),
                    model,
                    now,
                    work.record(),
                    job.metadata(),
                    continued == null ? null : continued.last());
            if (!sink.started(started)) {
                JobFailure failure = sink.tooLarge("the event 'started' is too large");
                return done(Outcome.withoutAttempt(new JobEvent.Failed(failure, null, job.metadata())));
            }
            Answer.Head head = new Answer.Head(
                    (job.task().answersInChat() ? "chatcmpl-" : "cmpl-") + job.id(),
                    now.getEpochSecond(),
                    model,
                    job.task());
            AttemptStream attempt =
                    new AttemptStream(slot, job, work.rule(), head, continued, transcript, signal, left(), context);
            AttemptStream.End end;
            try (AttemptTrace trace = AttemptTrace.begin(context.tracer(), job, node.settings(), model, lastAttempt)) {
                end = read(attempt, node);
                trace.ended(end, attempt.firstTokenMillis());
            }
            entry.used(transcript.here());
            context.meters().attempted(job, slot, end, attempt.firstTokenMillis(), attempt.streamMillis());
            return step(end, started, attempt, slot, continued != null);
        } finally {
            waiting = true;
        }
    }

    private void count(Node node, @Nullable PublishedText continued) {
        if (continued != null) {
            context.meters().continued();
        } else if (last != null && !node.name().equals(last.node())) {
            context.meters().startedOver();
        }
    }

    private void begin(Node node, String model, @Nullable PublishedText continued, Instant now) {
        sink.begin(++lastAttempt);
        firstAttempt = firstAttempt == 0 ? lastAttempt : firstAttempt;
        if (queuedMillis == null) {
            queuedMillis = millisUntil(now);
            context.meters().queued(queuedMillis);
        }
        limits = limits.startedAt(now);
        transcript.begin(node.name(), model, lastAttempt, continued);
    }

    /** Publishes the chunks of an attempt, and returns how the attempt ended. */
    private AttemptStream.End read(AttemptStream attempt, Node node) throws InterruptedException {
        try (attempt) {
            while (true) {
                switch (attempt.next()) {
                    case AttemptStream.Progress.Chunk(Answer.Head head, var deltas) -> {
                        if (!sink.chunk(head, deltas)) {
                            return new AttemptStream.End.Failed(sink.tooLarge("a part of the answer cannot be cut")
                                    .atNode(node.name()));
                        }
                        transcript.published(sink.lastSeq());
                    }
                    case AttemptStream.Progress.Ended(AttemptStream.End end) -> {
                        return end;
                    }
                }
            }
        }
    }

    /** @param continued whether the attempt had to continue a text */
    private Step step(
            AttemptStream.End end, JobEvent.Started started, AttemptStream attempt, Node.Slot slot, boolean continued)
            throws InterruptedException {
        Node node = slot.node();
        JobEvent.Execution execution = execution(started, attempt);
        return switch (end) {
            case AttemptStream.End.Whole(Answer answer, Usage _) ->
                done(Outcome.of(new JobEvent.Completed(answer, false, execution, job.metadata()), started, node));
            case AttemptStream.End.Stopped() ->
                signal.reason() == StopSignal.Reason.CANCELLED
                        ? done(Outcome.of(new JobEvent.Cancelled(execution, job.metadata()), started, node))
                        : new Step.Done(new Result.Released());
            case AttemptStream.End.TooLate() -> done(Outcome.of(limits.over(execution, last), started, node));
            case AttemptStream.End.Failed(JobFailure failure) -> {
                slot.failed(failure);
                boolean spoke = attempt.firstTokenMillis() != null;
                if (continued && !spoke && continuePlan.failed(failure)) {
                    yield new Step.Again(failure, false);
                }
                if (transcript.continuable().isPresent() && !sink.awaitPublished()) {
                    // the broker lacks a chunk, so no reader has the whole text
                    transcript.startOver();
                }
                Instant now = now();
                RetryPlan.Next next = plan.after(
                        new RetryPlan.Failed(failure, node.name(), spoke), now, limits.left(now), entry::mayHaveOther);
                yield switch (next) {
                    case RetryPlan.Next.Anywhere() -> new Step.Again(failure, false);
                    case RetryPlan.Next.Elsewhere() -> new Step.Again(failure, true);
                    case RetryPlan.Next.GiveUp(JobFailure why) ->
                        done(Outcome.of(new JobEvent.Failed(why, execution, job.metadata()), started, node));
                };
            }
        };
    }

    private JobEvent.Execution execution(JobEvent.Started started, AttemptStream attempt) {
        return new JobEvent.Execution(
                started.node(),
                started.backend(),
                attempt.model(),
                queuedMillis == null ? 0 : queuedMillis,
                attempt.firstTokenMillis(),
                millisUntil(now()),
                lastAttempt,
                attempt.ignoredParameters(),
                transcript.segments(),
                transcript.allAttempts());
    }

    private static Step done(Outcome outcome) {
        return new Step.Done(new Result.Concluded(outcome));
    }

    /** Ends with an outcome that no attempt led to. Such an outcome has an attempt number of its own. */
    private Result withoutAttempt(JobEvent event) {
        sink.begin(outcomeAttempt);
        return new Result.Concluded(Outcome.withoutAttempt(event));
    }

    private Result stopped() {
        return signal.reason() == StopSignal.Reason.CANCELLED
                ? withoutAttempt(new JobEvent.Cancelled(null, job.metadata()))
                : new Result.Released();
    }

    private Duration left() {
        return limits.left(now());
    }

    private long millisUntil(Instant now) {
        return Math.max(0, Duration.between(job.acceptedAt(), now).toMillis());
    }

    private Instant now() {
        return context.clock().instant();
    }
}
