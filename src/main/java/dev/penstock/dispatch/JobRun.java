package dev.penstock.dispatch;

import dev.penstock.job.Answer;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.node.Node;
import dev.penstock.reply.JobReplies;
import dev.penstock.reply.Recovery;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * One execution of one job by this replica, from taking it to acknowledging its record: recover what may have run, wait
 * in the line, attempt, publish one outcome, look again, acknowledge. Owned by its virtual thread; only
 * {@link #stop} may be called from others.
 *
 * <p>The invariant: {@link Hold#acknowledge} is called only when a valid outcome of the job is on the broker.
 */
final class JobRun {
    private static final Logger LOG = Logger.getLogger(JobRun.class);
    private static final Duration LOOK_UP_AGAIN = Duration.ofSeconds(1);

    private final TakenJob taken;
    private final PromptJob job;
    private final Hold hold;
    private final JobReplies replies;
    private final RunContext context;
    private final StopSignal signal = new StopSignal();
    private @Nullable Instant firstStarted;
    private int lastAttempt;
    /** Attempts that count against the job's max_attempts. */
    private int failures;

    private @Nullable Long queuedMillis;
    private @Nullable Delay obstacle;
    private List<Integer> excused = List.of();
    /** Of this run; 0: it has not started. */
    private int firstAttempt;

    private volatile boolean attempting;

    JobRun(TakenJob taken, Hold hold, JobReplies replies, RunContext context) {
        this.taken = taken;
        job = taken.job();
        this.hold = hold;
        this.replies = replies;
        this.context = context;
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

    /** Whether it only waits: for its turn, its node, or what happened earlier. */
    boolean isWaiting() {
        return !attempting;
    }

    /** Runs of this job that this replica ended itself are no sign of poison. */
    void excuse(Collection<Integer> firstAttempts) {
        excused = List.copyOf(firstAttempts);
    }

    /** @return why the record is refused after all: another job has its id; null in any other case */
    @Nullable
    JobFailure run() throws InterruptedException {
        if (hold.isLastDelivery()) {
            hold.setAside(Delay.NONE, hold.handedBack(), hold.failures());
            return null;
        }
        switch (new Earlier(taken, hold, replies, signal, context).advise()) {
            case Earlier.Advice.Run(Recovery.Known known) -> run(known == null ? Recovery.Known.NOTHING : known, known);
            case Earlier.Advice.Over() -> hold.acknowledge();
            case Earlier.Advice.SetAside() -> hold.setAside(Delay.SHORT, hold.handedBack(), hold.failures());
            case Earlier.Advice.Refuse(JobFailure failure) -> {
                return failure;
            }
            case Earlier.Advice.Stop() -> handBack();
        }
        return null;
    }

    /** Where the replica ends, another one shall have the job at once. */
    private void handBack() throws InterruptedException {
        if (signal.reason() == StopSignal.Reason.SHUTDOWN) {
            hold.handBack(firstAttempt > 0 ? lastAttempt : 0);
        }
    }

    /** @param recovered null: it is the first run */
    private void run(Recovery.Known known, Recovery.@Nullable Known recovered) throws InterruptedException {
        firstStarted = known.firstStarted();
        lastAttempt = known.reading().nextRunAttempt() - 1;
        int silentRuns = known.runs().after(hold.handedBack(), excused);
        if (context.commands().isCancelled(job.id())) {
            perform(recovered);
            return;
        } else if (silentRuns >= Suspects.POISON) {
            endPoison(known, silentRuns);
            return;
        }
        try (Suspects.Pass pass = context.suspects().enter(silentRuns)) {
            if (pass == null) {
                hold.setAside(Delay.SHORT, hold.handedBack(), hold.failures());
            } else {
                if (silentRuns > 1) {
                    LOG.warnf(
                            "job=%s record=%s %d of its runs ended without a word: it runs apart from most others, and after %d it is poison",
                            job.id(), taken.place(), silentRuns, Suspects.POISON);
                }
                perform(recovered);
            }
        }
    }

    private void endPoison(Recovery.Known known, int silentRuns) throws InterruptedException {
        JobFailure failure = JobFailure.of(
                JobFailure.Code.POISON,
                "%d runs of the job ended together with the process that ran it. Its record is among the dead letters: look at it before it is sent again"
                        .formatted(silentRuns));
        if (!hold.deadLetter(failure, lastAttempt)) {
            return;
        }
        LOG.errorf("job=%s record=%s poison: %s", job.id(), taken.place(), failure.message());
        conclude(
                known,
                withoutAttempt(
                        new JobEvent.Failed(failure, null, job.metadata()),
                        known.reading().nextOutcomeAttempt()));
    }

    private void perform(Recovery.@Nullable Known known) throws InterruptedException {
        Outcome worked;
        try (Line.Ticket ticket = context.line().new Ticket(taken)) {
            worked = work(known, ticket);
        }
        if (worked != null) {
            conclude(known, worked);
        } else if (obstacle != null) {
            hold.setAside(obstacle, firstAttempt > 0 ? lastAttempt : hold.handedBack(), failures);
        } else {
            handBack();
        }
    }

    private void conclude(Recovery.@Nullable Known known, Outcome worked) throws InterruptedException {
        LastWord lastWord = new LastWord(replies, job.stream(), hold, signal, context.settings());
        Outcome outcome = lastWord.say(lastWord.fitting(worked));
        if (outcome == null) {
            return;
        }
        boolean again = known != null || hold.mayHaveRunAfterAll();
        if (again && !settle(known == null ? lookUp() : lookUpAgain(known), outcome, lastWord)) {
            return;
        }
        hold.acknowledge();
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
    private @Nullable Outcome work(Recovery.@Nullable Known known, Line.Ticket ticket) throws InterruptedException {
        int outcomeAttempt = known == null ? 0 : known.reading().nextOutcomeAttempt();
        Set<String> useless = new HashSet<>();
        Set<String> failed = new HashSet<>();
        failures = hold.failures();
        JobFailure last = null;
        String lastNode = null;
        while (true) {
            if (context.commands().isCancelled(job.id())) {
                signal.stop(StopSignal.Reason.CANCELLED);
            }
            Set<String> avoid = new HashSet<>(useless);
            if (last != null) {
                Set<String> both = new HashSet<>(useless);
                both.addAll(failed);
                if (ticket.hasOther(both)) {
                    avoid = both;
                } else if (last.code().remedy() == JobFailure.Remedy.OTHER_NODE && !ticket.hasOther(useless)) {
                    return withoutAttempt(new JobEvent.Failed(last, null, job.metadata()), outcomeAttempt);
                } else {
                    signal.pause(context.settings().retries().backoff(failures));
                }
                if (!signal.isGiven() && !hold.renew()) {
                    return null;
                }
            }
            switch (ticket.await(avoid, signal, timeLeft())) {
                case Line.Place.Nowhere(JobFailure failure) -> {
                    return withoutAttempt(new JobEvent.Failed(failure, null, job.metadata()), outcomeAttempt);
                }
                case Line.Place.Stopped() -> {
                    return stopped(null, outcomeAttempt);
                }
                case Line.Place.Blocked(boolean down) -> {
                    // back in time to end when its own time does
                    obstacle = Delay.within(delay(down), timeLeft());
                    return null;
                }
                case Line.Place.TooLate() -> {
                    return withoutAttempt(tooLate(null), outcomeAttempt);
                }
                case Line.Place.Taken(Node.Slot slot, String model) -> {
                    if (last != null && !slot.node().name().equals(lastNode)) {
                        context.meters().failedOver();
                    }
                    lastNode = slot.node().name();
                    attempting = true;
                    Step step = attempt(slot, model, known != null);
                    attempting = false;
                    if (step.outcome() != null || step.failure() == null) {
                        return step.outcome();
                    }
                    last = step.failure();
                    outcomeAttempt = lastAttempt + 1;
                    failed.add(slot.node().name());
                    if (last.code().remedy() == JobFailure.Remedy.OTHER_NODE) {
                        useless.add(slot.node().name());
                    } else {
                        failures++;
                    }
                }
            }
        }
    }

    /**
     * How an attempt leaves the run.
     *
     * @param outcome the run's, where there is one
     * @param failure another attempt may help; both null: the run was stopped
     */
    private record Step(@Nullable Outcome outcome, @Nullable JobFailure failure) {}

    private Step attempt(Node.Slot held, String model, boolean recovered) throws InterruptedException {
        try (Node.Slot slot = held) {
            Node node = slot.node();
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
            replies.send(started);
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
                    if (failure.code() == JobFailure.Code.NODE_UNREACHABLE) {
                        node.refused(failure);
                    }
                    boolean again = failure.code().remedy() == JobFailure.Remedy.OTHER_NODE
                            || (failure.code().remedy() == JobFailure.Remedy.RETRY && failures + 1 < job.maxAttempts());
                    yield again
                            ? new Step(null, failure)
                            : new Step(
                                    Outcome.of(new JobEvent.Failed(failure, execution, job.metadata()), started, node),
                                    null);
                }
            };
        }
    }

    private JobEvent.Execution execution(JobEvent.Started started, Attempt attempt) {
        return new JobEvent.Execution(
                started.node(),
                started.backend(),
                started.model(),
                queuedMillis == null ? 0 : queuedMillis,
                attempt.firstTokenMillis(),
                Math.max(
                        0,
                        Duration.between(job.acceptedAt(), context.clock().instant())
                                .toMillis()),
                lastAttempt,
                attempt.ignoredParameters());
    }

    /** Longer, the longer it has been set aside; a node that is only full may have room at any moment. */
    private Delay delay(boolean down) {
        Instant since = hold.setAsideSince();
        if (since == null || !down) {
            return Delay.SHORT;
        }
        boolean forLong =
                since.plus(Delay.LONG.length()).isBefore(context.clock().instant());
        return forLong ? Delay.LONG : Delay.MEDIUM;
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
                JobFailure.Code.TIMEOUT, "the job ran longer than its timeout, %s".formatted(job.timeout()));
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
    private boolean settle(Recovery.@Nullable Known first, Outcome outcome, LastWord lastWord)
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
