package dev.penstock.dispatch;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Waiting;
import dev.penstock.node.Node;
import dev.penstock.reply.JobReplies;
import dev.penstock.reply.Recovery;
import dev.penstock.schedule.Admission;
import dev.penstock.schedule.Delay;
import dev.penstock.schedule.QueueEntry;
import dev.penstock.schedule.RouteKey;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * One execution of one job by this replica, from taking it to acknowledging its record: recover what may have run, wait
 * in the line, attempt, publish one outcome, look again, acknowledge. Owned by its virtual thread; only
 * {@link #stop} may be called from others.
 *
 * <p>The invariant: {@link Delivery#acknowledge} is called only when a valid outcome of the job is on the broker.
 */
final class JobRun {
    private static final Logger LOG = Logger.getLogger(JobRun.class);
    private static final Duration LOOK_UP_AGAIN = Duration.ofSeconds(1);

    private final TakenJob taken;
    private final PromptJob job;
    private final Delivery delivery;
    private final JobReplies replies;
    private final RunContext context;
    private final StopSignal signal = new StopSignal();
    private @Nullable Instant firstStarted;
    private int lastAttempt;
    private final RetryPlan plan;
    /** What the latest attempt failed with; null: none has. */
    private @Nullable JobFailure last;

    private @Nullable Long queuedMillis;
    private @Nullable Deferral obstacle;
    private List<Integer> excused = List.of();
    /** Of this run; 0: it has not started. */
    private int firstAttempt;
    /** From then on the events count this run. */
    private boolean startedSent;

    private volatile Phase phase = Phase.WAITING;

    private enum Phase {
        WAITING,
        ATTEMPTING,
        /** Its outcome is being published. */
        CONCLUDING
    }

    JobRun(TakenJob taken, Delivery delivery, JobReplies replies, RunContext context) {
        this.taken = taken;
        job = taken.job();
        this.delivery = delivery;
        this.replies = replies;
        this.context = context;
        plan = new RetryPlan(
                context.settings().retries(),
                job.maxAttempts(),
                delivery.failures(),
                () -> ThreadLocalRandom.current().nextLong());
    }

    TakenJob taken() {
        return taken;
    }

    void stop(StopSignal.Reason reason) {
        signal.stop(reason);
    }

    /** The first attempt of a run that was ended because its record was lost, while this replica lives; 0: it was not. */
    int firstAttemptOfLost() {
        return signal.reason() == StopSignal.Reason.LOCK_LOST ? firstAttempt : 0;
    }

    /** How it was deferred, since no node could take it; null: it was not. */
    @Nullable
    Deferral deferral() {
        return obstacle;
    }

    /** Whether it only waits: for its turn, its node, or what happened earlier. */
    boolean isWaiting() {
        return phase == Phase.WAITING;
    }

    /** Runs of this job that this replica ended itself are no sign of poison. */
    void excuse(Collection<Integer> firstAttempts) {
        excused = List.copyOf(firstAttempts);
    }

    /** @return why the record is refused after all: another job has its id; null in any other case */
    @Nullable
    JobFailure run() throws InterruptedException {
        if (delivery.isLastDelivery()) {
            delivery.defer(Deferral.HANDED_BACK, delivery.handedBack(), delivery.failures());
            return null;
        }
        switch (new DuplicateCheck(taken, delivery, replies, signal, context).advise()) {
            case DuplicateCheck.Advice.Run(Recovery.Known known) ->
                run(known == null ? Recovery.Known.NOTHING : known, known);
            case DuplicateCheck.Advice.Over() -> delivery.acknowledge();
            case DuplicateCheck.Advice.Defer() ->
                delivery.defer(Deferral.DUPLICATE, delivery.handedBack(), delivery.failures());
            case DuplicateCheck.Advice.Refuse(JobFailure failure) -> {
                return failure;
            }
            case DuplicateCheck.Advice.Stop() -> handBack();
        }
        return null;
    }

    /** Where the replica ends, another one shall have the job at once. */
    private void handBack() throws InterruptedException {
        if (signal.reason() == StopSignal.Reason.SHUTDOWN) {
            delivery.handBack(firstAttempt > 0 ? lastAttempt : 0);
        }
    }

    /** @param recovered null: it is the first run */
    private void run(Recovery.Known known, Recovery.@Nullable Known recovered) throws InterruptedException {
        firstStarted = known.firstStarted();
        lastAttempt = known.reading().nextRunAttempt() - 1;
        int brokenRuns = delivery.brokenRuns();
        int silentRuns = known.runs().after(delivery.handedBack(), excused) + brokenRuns;
        if (brokenRuns < Quarantine.POISON && context.cancelled().test(job.id())) {
            perform(recovered);
            return;
        } else if (silentRuns >= Quarantine.POISON) {
            endPoison(known, silentRuns);
            return;
        }
        try (Quarantine.Pass pass = context.quarantine().enter(silentRuns)) {
            if (pass == null) {
                delivery.defer(Deferral.QUARANTINED, delivery.handedBack(), delivery.failures());
            } else {
                if (silentRuns > 1) {
                    LOG.warnf(
                            "job=%s record=%s %d runs crashed without an outcome; quarantined (poison at %d)",
                            job.id(), taken.place(), silentRuns, Quarantine.POISON);
                }
                perform(recovered);
            }
        }
    }

    private void endPoison(Recovery.Known known, int silentRuns) throws InterruptedException {
        JobFailure failure = poison(silentRuns);
        if (!delivery.deadLetter(failure, lastAttempt)) {
            return;
        }
        LOG.errorf("job=%s record=%s poison: %s", job.id(), taken.place(), failure.message());
        conclude(
                known,
                withoutAttempt(
                        new JobEvent.Failed(failure, null, job.metadata()),
                        known.reading().nextOutcomeAttempt()));
    }

    private JobFailure poison(int silentRuns) {
        int broken = Math.min(silentRuns, delivery.brokenRuns());
        String how = broken == 0
                ? "ended together with the process that ran it"
                : broken == silentRuns
                        ? "ended by an unexpected exception before it started: the log has it"
                        : "ended without an outcome, %d of them by an unexpected exception before it started: the log has it"
                                .formatted(broken);
        return JobFailure.of(
                JobFailure.Code.POISON,
                "%d runs of the job %s. Its record is among the dead letters: look at it before it is sent again"
                        .formatted(silentRuns, how));
    }

    /**
     * An unexpected exception ended the run. Once its {@code started} is sent the events count it; else a copy of the record
     * does. So the job ends as poison, also over restarts.
     *
     * @return why the record is refused: not even its end as poison came about; null in any other case
     */
    @Nullable
    JobFailure broke() throws InterruptedException {
        if (startedSent
                || signal.reason() == StopSignal.Reason.SHUTDOWN
                || signal.reason() == StopSignal.Reason.LOCK_LOST) {
            return null;
        }
        int runs = delivery.brokenRuns() + 1;
        if (runs > Quarantine.POISON) {
            return poison(delivery.brokenRuns());
        }
        delivery.deferBroken(Deferral.broken(runs));
        return null;
    }

    private void perform(Recovery.@Nullable Known known) throws InterruptedException {
        Outcome worked;
        try (QueueEntry entry = context.scheduler()
                .enter(RouteKey.of(job), job.priority(), taken.place().topic(), taken.isDeferred())) {
            worked = work(known, entry);
        }
        if (worked != null) {
            conclude(known, worked);
        } else if (obstacle != null) {
            delivery.defer(obstacle, firstAttempt > 0 ? lastAttempt : delivery.handedBack(), plan.counted());
        } else {
            handBack();
        }
    }

    private void conclude(Recovery.@Nullable Known known, Outcome worked) throws InterruptedException {
        OutcomeWriter lastWord = new OutcomeWriter(replies, job.stream(), delivery, signal, context.settings());
        phase = Phase.CONCLUDING;
        Outcome outcome = lastWord.say(worked);
        boolean again = outcome != null && (known != null || delivery.mayHaveRunAfterAll());
        if (outcome == null || (again && !settle(known == null ? lookUp() : lookUpAgain(known), outcome, lastWord))) {
            // another replica finds what is on the broker, and says or acknowledges the rest
            handBack();
            return;
        }
        delivery.acknowledge();
        context.meters().ended(job, outcome.event(), outcome.node());
        JobTrace.ended(outcome.event());
        log(outcome);
    }

    /** A failure's words stay out of the log: a server's may quote the prompt. */
    private void log(Outcome outcome) {
        if (outcome.event() instanceof JobEvent.Failed failed) {
            LOG.infof(
                    "job=%s outcome=failed code=%s attempts=%d",
                    job.id(), failed.failure().code().wireName(), lastAttempt);
        } else {
            LOG.debugf(
                    "job=%s outcome=%s attempts=%d",
                    job.id(), outcome.event().kind().wireName(), lastAttempt);
        }
    }

    /** @return null when the run was stopped, or has to be set aside: it says nothing more */
    private @Nullable Outcome work(Recovery.@Nullable Known known, QueueEntry entry) throws InterruptedException {
        int outcomeAttempt = known == null ? 0 : known.reading().nextOutcomeAttempt();
        while (true) {
            if (context.cancelled().test(job.id())) {
                signal.stop(StopSignal.Reason.CANCELLED);
            }
            JobFailure before = last;
            if (before != null) {
                if (before.code().remedy() == JobFailure.Remedy.OTHER_NODE && !entry.hasOther(plan.useless())) {
                    return withoutAttempt(new JobEvent.Failed(before, null, job.metadata()), outcomeAttempt);
                }
                if (!signal.isGiven() && !delivery.renew()) {
                    return null;
                }
            }
            switch (await(entry)) {
                case Admission.Unservable(JobFailure failure) -> {
                    return withoutAttempt(new JobEvent.Failed(failure, null, job.metadata()), outcomeAttempt);
                }
                case Admission.Stopped() -> {
                    return stopped(null, outcomeAttempt);
                }
                case Admission.Deferred(Admission.Cause cause) -> {
                    // back in time to end when its own time does
                    obstacle = new Deferral(
                            Delay.of(
                                            cause,
                                            delivery.deferredSince(),
                                            context.clock().instant())
                                    .within(timeLeft()),
                            cause == Admission.Cause.NODES_DOWN ? Waiting.Code.NODE_DOWN : Waiting.Code.SLOT,
                            RouteKey.of(job));
                    return null;
                }
                case Admission.TimedOut() -> {
                    return withoutAttempt(tooLate(null), outcomeAttempt);
                }
                case Admission.Granted(Node.Slot slot, String model) -> {
                    Step step = attempt(slot, model, known != null, entry);
                    if (step.outcome() != null || step.failure() == null) {
                        return step.outcome();
                    }
                    last = step.failure();
                    outcomeAttempt = lastAttempt + 1;
                }
            }
        }
    }

    private Admission await(QueueEntry entry) throws InterruptedException {
        try (var _ = signal.wakeBy(entry::stop)) {
            return entry.await(plan.avoid(), timeLeft());
        }
    }

    /**
     * How an attempt leaves the run.
     *
     * @param outcome the run's, where there is one
     * @param failure another attempt may help; both null: the run was stopped
     */
    private record Step(@Nullable Outcome outcome, @Nullable JobFailure failure) {}

    private Step attempt(Node.Slot held, String model, boolean recovered, QueueEntry entry)
            throws InterruptedException {
        phase = Phase.ATTEMPTING;
        try (Node.Slot slot = held) {
            Node node = slot.node();
            if (last != null && !node.name().equals(last.node())) {
                context.meters().failedOver();
            }
            Instant now = context.clock().instant();
            replies.begin(++lastAttempt);
            firstAttempt = firstAttempt == 0 ? lastAttempt : firstAttempt;
            if (queuedMillis == null) {
                queuedMillis =
                        Math.max(0, Duration.between(job.acceptedAt(), now).toMillis());
                context.meters().queued(queuedMillis);
            }
            if (firstStarted == null) {
                firstStarted = now;
            }
            JobEvent.Started started = new JobEvent.Started(
                    node.name(), node.settings().backend().wireName(), model, now, taken.place(), job.metadata());
            if (!replies.send(started)) {
                JobFailure failure = replies.tooLarge("the event 'started' is too large");
                return new Step(Outcome.withoutAttempt(new JobEvent.Failed(failure, null, job.metadata())), null);
            }
            startedSent = true;
            if (recovered) {
                // a job that ends its process at once would leave no trace, and those beside it would be suspected in
                // its place
                var _ = replies.awaitSent();
            }
            Answer.Head head = new Answer.Head(
                    (job.task().answersInChat() ? "chatcmpl-" : "cmpl-") + job.id(),
                    now.getEpochSecond(),
                    model,
                    job.task());
            Attempt attempt = new Attempt(
                    job,
                    head,
                    replies,
                    signal,
                    node.timeouts(),
                    context.settings().replies());
            Attempt.End end;
            try (AttemptTrace trace = AttemptTrace.begin(context.tracer(), job, node.settings(), model, lastAttempt)) {
                end = attempt.run(node, model, timeLeft());
                trace.ended(end, attempt.firstTokenMillis());
            }
            context.meters().attempted(job, node, end, attempt.firstTokenMillis(), attempt.streamMillis());
            JobEvent.Execution execution = execution(started, attempt);
            return switch (end) {
                case Attempt.End.Whole(Answer answer) ->
                    new Step(
                            Outcome.of(new JobEvent.Completed(answer, false, execution, job.metadata()), started, node),
                            null);
                case Attempt.End.Stopped() -> {
                    Outcome outcome = stopped(execution, lastAttempt);
                    yield new Step(outcome == null ? null : Outcome.of(outcome.event(), started, node), null);
                }
                case Attempt.End.TooLate() -> new Step(Outcome.of(tooLate(execution), started, node), null);
                case Attempt.End.Failed(JobFailure failure) -> {
                    node.failed(failure);
                    boolean again = plan.failed(
                            failure,
                            node.name(),
                            attempt.firstTokenMillis() != null,
                            context.clock().instant());
                    JobFailure hopeless = again ? hopeless(failure, entry) : failure;
                    yield hopeless == null
                            ? new Step(null, failure)
                            : new Step(
                                    Outcome.of(new JobEvent.Failed(hopeless, execution, job.metadata()), started, node),
                                    null);
                }
            };
        } finally {
            phase = Phase.WAITING;
        }
    }

    /** @return why it is of no use to wait: the server asks for more time than the job has; null: it may be */
    private @Nullable JobFailure hopeless(JobFailure failure, QueueEntry entry) {
        Duration asked = failure.again().after();
        Duration left = timeLeft();
        if (asked == null
                || asked.compareTo(left) < 0
                || entry.mayHaveOther(plan.closedUntil(context.clock().instant().plus(left)))) {
            return null;
        }
        return failure.saying(". It asks to wait %s, and the job has %s left"
                .formatted(asked, Duration.ofMillis(Math.max(0, left.toMillis()))));
    }

    private JobEvent.Execution execution(JobEvent.Started started, Attempt attempt) {
        return new JobEvent.Execution(
                started.node(),
                started.backend(),
                attempt.model(),
                queuedMillis == null ? 0 : queuedMillis,
                attempt.firstTokenMillis(),
                Math.max(
                        0,
                        Duration.between(job.acceptedAt(), context.clock().instant())
                                .toMillis()),
                lastAttempt,
                attempt.ignoredParameters());
    }

    /** An outcome that no attempt led to stands for itself: an attempt of its own, seq 0. */
    private Outcome withoutAttempt(JobEvent event, int outcomeAttempt) {
        replies.begin(outcomeAttempt);
        return Outcome.withoutAttempt(event);
    }

    /** @return null where the run has nothing to say any more */
    private @Nullable Outcome stopped(JobEvent.@Nullable Execution execution, int outcomeAttempt) {
        if (signal.reason() != StopSignal.Reason.CANCELLED) {
            return null;
        }
        JobEvent cancelled = new JobEvent.Cancelled(execution, job.metadata());
        return execution == null ? withoutAttempt(cancelled, outcomeAttempt) : Outcome.withoutAttempt(cancelled);
    }

    private JobEvent tooLate(JobEvent.@Nullable Execution execution) {
        // not what the clock says now: it may be a hair behind the wait that has just ended
        Instant deadline = job.deadline();
        if (deadline != null && (firstStarted == null || !deadline.isAfter(firstStarted.plus(job.timeout())))) {
            return new JobEvent.Expired(execution, job.metadata());
        }
        JobFailure failure = JobFailure.of(
                JobFailure.Code.TIMEOUT,
                "the job ran longer than its timeout, %s%s"
                        .formatted(job.timeout(), last == null ? "" : ". Its last attempt failed: " + last.message()));
        return new JobEvent.Failed(failure, execution, job.metadata());
    }

    /** What is left until the deadline, and once it has started until the running time is over. */
    private Duration timeLeft() {
        Instant now = context.clock().instant();
        Instant end = job.deadline() == null ? Instant.MAX : job.deadline();
        if (firstStarted != null && firstStarted.plus(job.timeout()).isBefore(end)) {
            end = firstStarted.plus(job.timeout());
        }
        Duration most = Duration.ofDays(365);
        return end.isAfter(now.plus(most)) ? most : Duration.between(now, end);
    }

    /**
     * The look-up at the end of a run that recovered, or that may have been no first one after all: another run may have taken
     * over and died since.
     *
     * @param first what is known now; null: the run was stopped before the broker answered
     * @return false when the run was stopped before a valid outcome was there
     */
    private boolean settle(Recovery.@Nullable Known first, Outcome outcome, OutcomeWriter lastWord)
            throws InterruptedException {
        Recovery.Known now = first;
        while (now != null && !now.reading().isClosed()) {
            if (!lastWord.sayAgain(outcome, now.reading().nextRunAttempt())) {
                return false;
            }
            now = lookUpAgain(now);
        }
        return now != null;
    }

    private Recovery.@Nullable Known lookUp() throws InterruptedException {
        return asking(() -> context.recovery().lookUp(job.id(), job.acceptedAt()));
    }

    private Recovery.@Nullable Known lookUpAgain(Recovery.Known last) throws InterruptedException {
        return asking(() -> context.recovery().lookUpAgain(job.id(), last));
    }

    private interface LookUp {
        Recovery.Known now() throws InterruptedException, Recovery.LookUpFailed;
    }

    /** @return null when the run was stopped before the broker answered */
    private Recovery.@Nullable Known asking(LookUp lookUp) throws InterruptedException {
        while (signal.reason() == null || signal.reason() == StopSignal.Reason.CANCELLED) {
            try {
                return lookUp.now();
            } catch (Recovery.LookUpFailed e) {
                LOG.warnf("job=%s %s; trying again", job.id(), e.getMessage());
                signal.pause(LOOK_UP_AGAIN);
            }
        }
        return null;
    }
}
