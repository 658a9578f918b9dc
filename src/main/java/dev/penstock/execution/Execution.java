package dev.penstock.execution;

import dev.penstock.execution.call.Asked;
import dev.penstock.execution.call.Hedge;
import dev.penstock.execution.call.NodeCall;
import dev.penstock.execution.time.NodeWait;
import dev.penstock.execution.time.TimeLimits;
import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Usage;
import dev.penstock.node.Node;
import dev.penstock.route.balance.Length;
import dev.penstock.schedule.Admission;
import dev.penstock.schedule.QueueEntry;
import dev.penstock.schedule.preempt.RunningAttempt;
import dev.penstock.settings.Placing;
import dev.penstock.settings.Rule;
import dev.penstock.settings.Settings;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One execution of a job. It waits for a node, makes an attempt, and tries again after a failure, until the job has an
 * outcome, is deferred or is released. Its thread owns it; other threads may call {@link #isWaiting}.
 */
public final class Execution {
    private static final QueueEntry.Running NOT_PREEMPTIBLE = () -> {};
    private static final JobFailure CANNOT_GO_ON =
            JobFailure.of(JobFailure.Code.STREAM_BROKEN, "no node can continue the answer");

    private final Work work;
    private final PromptJob job;
    private final QueueEntry entry;
    private final AnswerSink sink;
    private final StopSignal signal;
    private final Owner owner;
    private final ExecutionContext context;
    private final RetryPlan plan;
    private final ContinuePlan continuePlan;
    private final Request request;
    private final Transcript transcript;
    private final AttemptEvents events;
    private final NodeWait wait;
    private TimeLimits limits;
    /** Whether any job may stop an attempt of this one. */
    private final boolean preemptible;

    private int outcomeAttempt;
    private @Nullable Long queuedMillis;
    /** The failure of the last attempt; null if there is none. */
    private @Nullable JobFailure last;
    /** Whether the last attempt gave its slot to another job, and no node failed. */
    private boolean preempted;

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

        /** The attempt gave its slot to another job. */
        record Later() implements Step {}
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
        Settings.Continuing continuing =
                work.rule().handling().continuing(context.settings().continuing());
        continuePlan = new ContinuePlan(continuing, work.rule().set().parameters());
        long mostTokens = Length.answer(job, work.rule(), context.settings().parameters());
        request = new Request(job, work.rule(), mostTokens, work.lastAttempt() - work.failures());
        transcript = new Transcript(ContinuePlan.mayContinue(continuing, job));
        if (work.published() != null) {
            // the text of an earlier run may be a whole answer that does not fit
            transcript.recover(work.published(), job.result() == null);
        }
        preemptible = context.settings().routing().rules().stream()
                .anyMatch(rule -> rule.handling().preempts());
        if (work.rule().handling().preempts()) {
            entry.mayPreempt();
        }
        limits = new TimeLimits(job, work.firstStarted());
        boolean refusesEarly = context.settings().refuseEarly() && !request.mayDrop();
        Duration queue =
                work.rule().timeouts().over(context.settings().timeouts()).queue();
        wait = NodeWait.of(entry, context.clock(), job, queue, refusesEarly, mostTokens);
        events = new AttemptEvents(work, sink, signal, transcript);
        outcomeAttempt = work.outcomeAttempt();
    }

    /** Returns whether no attempt is running. */
    public boolean isWaiting() {
        return waiting;
    }

    /** Returns the first attempt of this execution; 0 if there is none. */
    public int firstAttempt() {
        return events.firstAttempt();
    }

    /** Returns the last attempt of the job; 0 if there is none. */
    public int lastAttempt() {
        return events.lastAttempt();
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
                case Admission.Refused(JobFailure failure) -> {
                    context.meters().refused(entry, failure);
                    return withoutAttempt(new JobEvent.Failed(failure, null, job.metadata()));
                }
                case Admission.Stopped() -> {
                    return stopped();
                }
                case Admission.Deferred(Admission.Cause cause) -> {
                    return new Result.Deferred(cause, limits.left(now()));
                }
                case Admission.TimedOut() -> {
                    return withoutAttempt(Objects.requireNonNullElseGet(wait.tooLate(), () -> limits.over(null, last)));
                }
                case Admission.Granted(Node.Slot slot, String model) -> {
                    switch (attempt(slot, model)) {
                        case Step.Done(Result result) -> {
                            return result;
                        }
                        case Step.Again(JobFailure failure, boolean elsewhere) -> {
                            last = failure;
                            if (elsewhere && !entry.hasOther(plan.useless())) {
                                outcomeAttempt = events.lastAttempt() + 1;
                                return withoutAttempt(new JobEvent.Failed(failure, null, job.metadata()));
                            }
                        }
                        case Step.Later() -> {}
                    }
                    outcomeAttempt = events.lastAttempt() + 1;
                    if (!signal.isGiven() && !owner.stillOwns()) {
                        return new Result.Released();
                    }
                }
            }
        }
    }

    private Admission await() throws InterruptedException {
        try (var _ = signal.wakeBy(entry::stop)) {
            return wait.await(plan.avoid(), limits, last);
        }
    }

    private Step attempt(Node.Slot held, String model) throws InterruptedException {
        waiting = false;
        try (Node.Slot slot = held) {
            Node node = slot.node();
            PublishedText continued = continuePlan
                    .at(node, request.whole(), model, transcript.continuable())
                    .orElse(null);
            if (continued == null && !sink.mayStartOver()) {
                plan.leaveOut(node.name());
                return new Step.Again(Objects.requireNonNullElse(last, CANNOT_GO_ON), true);
            }
            if (!preempted) {
                context.meters().follows(node, continued != null, last);
            }
            preempted = false;
            Instant now = now();
            if (limits.firstStarted() == null
                    && !context.settings().routing().rules().isEmpty()) {
                context.meters().routed(work.rule(), node);
            }
            begin(node, model, continued, now);
            Hedge hedge = hedge(node, continued);
            if (!hedge.isOn() && !events.start(node, model)) {
                return tooLargeStart();
            }
            Answer.Head head =
                    new Answer.Head(job.task().idPrefix() + job.id(), now.getEpochSecond(), model, job.task());
            RunningAttempt running = new RunningAttempt(node.name());
            AttemptStream attempt = new AttemptStream(
                    new NodeCall(slot, model),
                    new Asked(request.fitted(slot, model), work.rule(), continued),
                    head,
                    new GivingWay(hedge, running, continuePlan, preemptible),
                    transcript,
                    signal,
                    limits.left(now()),
                    context);
            try (attempt;
                    var _ = preemptible ? entry.runs(running) : NOT_PREEMPTIBLE) {
                AttemptStream.End end;
                try (AttemptTrace trace =
                        AttemptTrace.begin(context.tracer(), job, node.settings(), model, events.number())) {
                    end = events.read(attempt, trace);
                    trace.ended(end, attempt.firstTokenMillis());
                }
                entry.used(transcript.here());
                context.meters()
                        .attempted(job, attempt.slot(), end, attempt.firstTokenMillis(), attempt.streamMillis());
                return step(end, attempt, running);
            }
        } finally {
            waiting = true;
        }
    }

    private void begin(Node node, String model, @Nullable PublishedText continued, Instant now) {
        events.begin(now, continued == null ? null : continued.last());
        if (queuedMillis == null) {
            queuedMillis = millisUntil(now);
            context.meters().queued(queuedMillis);
        }
        limits = limits.startedAt(now);
        transcript.begin(node.name(), model, events.number(), continued);
    }

    /**
     * Returns when a second node is asked. An attempt that continues a text never asks one. If the sink needs {@code
     * started} before the request, no second node is asked either, because only the first token tells the node.
     */
    private Hedge hedge(Node node, @Nullable PublishedText continued) {
        Rule.Hedge rule = work.rule().handling().hedge().orElse(null);
        Set<String> others = new HashSet<>(plan.useless());
        others.add(node.name());
        return rule == null || continued != null || !sink.mayStartLate() || !entry.hasOther(others)
                ? Hedge.NEVER
                : Hedge.of(rule, node, () -> entry.spare(plan.avoid(), node.name()));
    }

    private Step step(AttemptStream.End end, AttemptStream attempt, RunningAttempt running)
            throws InterruptedException {
        JobEvent.Started event = events.started();
        if (event == null) {
            return signal.isOver() ? new Step.Done(new Result.Released()) : tooLargeStart();
        }
        Node node = attempt.slot().node();
        JobEvent.Execution execution = execution(event, attempt);
        return switch (end) {
            case AttemptStream.End.Whole(Answer answer, Usage _) ->
                done(Outcome.of(new JobEvent.Completed(answer, false, execution, job.metadata()), event, node));
            case AttemptStream.End.Stopped() ->
                signal.reason() == StopSignal.Reason.CANCELLED
                        ? done(Outcome.of(new JobEvent.Cancelled(execution, job.metadata()), event, node))
                        : new Step.Done(new Result.Released());
            case AttemptStream.End.TooLate() -> done(Outcome.of(limits.over(execution, last), event, node));
            case AttemptStream.End.Preempted() -> {
                attempt.slot().excused();
                context.meters().preempted();
                // the slot of the replica first, so that no other job takes the node
                entry.preempted(running);
                attempt.close();
                preempted = true;
                keepPublished();
                yield new Step.Later();
            }
            case AttemptStream.End.Failed(JobFailure failure) -> {
                attempt.slot().failed(failure);
                boolean spoke = attempt.firstTokenMillis() != null;
                if (sink.mayStartOver() && request.repair(failure)) {
                    transcript.end();
                    yield new Step.Again(failure, false);
                }
                if (event.resumedFrom() != null && !spoke && continuePlan.failed(failure)) {
                    yield new Step.Again(failure, false);
                }
                if (failure.code() == JobFailure.Code.CONTEXT_LENGTH_EXCEEDED
                        && !spoke
                        && attempt.beside()
                                .filter(AttemptStream.Beside::wasFirst)
                                .isEmpty()) {
                    if (request.dropMore()) {
                        yield new Step.Again(failure, false);
                    }
                    if (work.rule().placing().overflow() == Placing.Overflow.FAIL) {
                        yield done(Outcome.of(new JobEvent.Failed(failure, execution, job.metadata()), event, node));
                    }
                }
                keepPublished();
                if (!sink.mayStartOver() && transcript.continuable().isEmpty()) {
                    yield done(Outcome.of(new JobEvent.Failed(failure, execution, job.metadata()), event, node));
                }
                Instant now = now();
                RetryPlan.Failed failed = plan.failed(failure, attempt, now);
                yield switch (plan.after(failed, now, limits.left(now), entry::mayHaveOther)) {
                    case RetryPlan.Next.Anywhere() -> new Step.Again(failure, false);
                    case RetryPlan.Next.Elsewhere() -> new Step.Again(failure, true);
                    case RetryPlan.Next.GiveUp(JobFailure why) ->
                        done(Outcome.of(new JobEvent.Failed(why, execution, job.metadata()), event, node));
                };
            }
        };
    }

    /** Waits until the broker has all chunks. If it lacks one, no reader has the whole text, so the text starts over. */
    private void keepPublished() throws InterruptedException {
        if (transcript.continuable().isPresent() && !sink.awaitPublished()) {
            transcript.startOver();
        }
    }

    private JobEvent.Execution execution(JobEvent.Started event, AttemptStream attempt) {
        return new JobEvent.Execution(
                event.node(),
                event.backend(),
                attempt.model(),
                queuedMillis == null ? 0 : queuedMillis,
                attempt.firstTokenMillis(),
                millisUntil(now()),
                events.lastAttempt(),
                attempt.ignoredParameters(),
                transcript.segments(),
                transcript.allAttempts(),
                request.dropped());
    }

    private Step tooLargeStart() {
        return done(Outcome.withoutAttempt(new JobEvent.Failed(events.tooLargeStart(), null, job.metadata())));
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

    private long millisUntil(Instant now) {
        return Math.max(0, Duration.between(job.acceptedAt(), now).toMillis());
    }

    private Instant now() {
        return context.clock().instant();
    }
}
