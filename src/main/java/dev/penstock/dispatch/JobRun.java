package dev.penstock.dispatch;

import dev.penstock.execution.Execution;
import dev.penstock.execution.Outcome;
import dev.penstock.execution.StopSignal;
import dev.penstock.execution.Work;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Waiting;
import dev.penstock.reply.JobReplies;
import dev.penstock.reply.Recovery;
import dev.penstock.schedule.Admission;
import dev.penstock.schedule.Delay;
import dev.penstock.schedule.QueueEntry;
import dev.penstock.schedule.RouteKey;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * One run of one Kafka job by this replica, from its delivery to the acknowledgement of its record: it recovers what
 * earlier runs did, executes the job, publishes one outcome, looks again, acknowledges. Its virtual thread owns it; other
 * threads may call {@link #stop} and {@link #isWaiting}.
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
    private List<Integer> excused = List.of();
    /** The job's last attempt before this run. */
    private int attemptsBefore;

    private @Nullable ReplySink sink;
    private @Nullable Deferral deferral;
    private volatile @Nullable Execution execution;
    /** Whether its outcome is being published. */
    private volatile boolean concluding;

    JobRun(TakenJob taken, Delivery delivery, JobReplies replies, RunContext context) {
        this.taken = taken;
        job = taken.job();
        this.delivery = delivery;
        this.replies = replies;
        this.context = context;
    }

    TakenJob taken() {
        return taken;
    }

    void stop(StopSignal.Reason reason) {
        signal.stop(reason);
    }

    /**
     * Returns the first attempt of a run that ended because its record was lost while this replica lives; 0 if it did
     * not end so.
     */
    int firstAttemptOfLost() {
        return signal.reason() == StopSignal.Reason.LOCK_LOST ? firstAttempt() : 0;
    }

    /** Returns how the job was deferred, since no node could take it; null if it was not. */
    @Nullable
    Deferral deferral() {
        return deferral;
    }

    /** Returns whether it only waits: for its turn, for its node, or for what happened earlier. */
    boolean isWaiting() {
        Execution running = execution;
        return !concluding && (running == null || running.isWaiting());
    }

    /** Runs of this job that this replica ended itself do not count as crashed. */
    void excuse(Collection<Integer> firstAttempts) {
        excused = List.copyOf(firstAttempts);
    }

    private int firstAttempt() {
        Execution running = execution;
        return running == null ? 0 : running.firstAttempt();
    }

    private int lastAttempt() {
        Execution running = execution;
        return running == null ? attemptsBefore : running.lastAttempt();
    }

    /** Returns the last attempt for a deferred record, if this run started one; otherwise 0. */
    private int lastAttemptHere() {
        return firstAttempt() > 0 ? lastAttempt() : 0;
    }

    /** @return why the record is refused: another job has its id; null in any other case */
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

    /** When this replica ends, another one gets the job at once. */
    private void handBack() throws InterruptedException {
        if (signal.reason() == StopSignal.Reason.SHUTDOWN) {
            delivery.handBack(lastAttemptHere());
        }
    }

    /** @param recovered null if it is the first run */
    private void run(Recovery.Known known, Recovery.@Nullable Known recovered) throws InterruptedException {
        attemptsBefore = known.reading().nextRunAttempt() - 1;
        int brokenRuns = delivery.brokenRuns();
        int crashedRuns = known.runs().after(delivery.handedBack(), excused) + brokenRuns;
        if (brokenRuns < Quarantine.POISON && context.cancelled().test(job.id())) {
            perform(known, recovered);
            return;
        } else if (crashedRuns >= Quarantine.POISON) {
            endPoison(known, crashedRuns);
            return;
        }
        try (Quarantine.Pass pass = context.quarantine().enter(crashedRuns)) {
            if (pass == null) {
                delivery.defer(Deferral.QUARANTINED, delivery.handedBack(), delivery.failures());
            } else {
                if (crashedRuns > 1) {
                    LOG.warnf(
                            "job=%s record=%s %d runs crashed without an outcome; quarantined (poison at %d)",
                            job.id(), taken.place(), crashedRuns, Quarantine.POISON);
                }
                perform(known, recovered);
            }
        }
    }

    private void endPoison(Recovery.Known known, int crashedRuns) throws InterruptedException {
        JobFailure failure = poison(crashedRuns);
        if (!delivery.deadLetter(failure, attemptsBefore)) {
            return;
        }
        LOG.errorf("job=%s record=%s poison: %s", job.id(), taken.place(), failure.message());
        replies.begin(known.reading().nextOutcomeAttempt());
        conclude(known, Outcome.withoutAttempt(new JobEvent.Failed(failure, null, job.metadata())));
    }

    private JobFailure poison(int crashedRuns) {
        int broken = Math.min(crashedRuns, delivery.brokenRuns());
        String how = broken == 0
                ? "ended together with the process that ran it"
                : broken == crashedRuns
                        ? "ended by an unexpected exception before it started: the log has it"
                        : "ended without an outcome, %d of them by an unexpected exception before it started: the log has it"
                                .formatted(broken);
        return JobFailure.of(
                JobFailure.Code.POISON,
                "%d runs of the job %s. Its record is among the dead letters: look at it before it is sent again"
                        .formatted(crashedRuns, how));
    }

    /**
     * An unexpected exception ended the run. After its {@code started} the events count it; before that a deferred
     * record does. So the job ends as poison, also over restarts.
     *
     * @return why the record is refused: not even its end as poison was published; null in any other case
     */
    @Nullable
    JobFailure broke() throws InterruptedException {
        if ((sink != null && sink.hasStarted()) || signal.isOver()) {
            return null;
        }
        int runs = delivery.brokenRuns() + 1;
        if (runs > Quarantine.POISON) {
            return poison(delivery.brokenRuns());
        }
        delivery.deferBroken(Deferral.broken(runs));
        return null;
    }

    /** @param recovered null if it is the first run */
    private void perform(Recovery.Known known, Recovery.@Nullable Known recovered) throws InterruptedException {
        if (context.cancelled().test(job.id())) {
            signal.stop(StopSignal.Reason.CANCELLED);
        }
        switch (execute(known, recovered != null)) {
            case Execution.Result.Concluded(Outcome outcome) -> conclude(recovered, outcome);
            case Execution.Result.Deferred(Admission.Cause cause, Duration left) -> defer(cause, left);
            case Execution.Result.Released() -> handBack();
        }
    }

    private Execution.Result execute(Recovery.Known known, boolean recovered) throws InterruptedException {
        ReplySink publishing = new ReplySink(replies, recovered);
        sink = publishing;
        Work work = new Work(
                job,
                taken.place(),
                known.firstStarted(),
                attemptsBefore,
                known.reading().nextOutcomeAttempt(),
                delivery.failures());
        try (QueueEntry entry = context.scheduler()
                .enter(RouteKey.of(job), job.priority(), taken.place().topic(), taken.isDeferred())) {
            Execution running = new Execution(work, entry, publishing, signal, delivery::renew, context.execution());
            execution = running;
            return running.run();
        }
    }

    /** The job comes back in time to end when its own time does. */
    private void defer(Admission.Cause cause, Duration left) throws InterruptedException {
        Delay delay = Delay.of(cause, delivery.deferredSince(), context.clock().instant())
                .within(left);
        Deferral waiting = new Deferral(
                delay,
                cause == Admission.Cause.NODES_DOWN ? Waiting.Code.NODE_DOWN : Waiting.Code.SLOT,
                RouteKey.of(job));
        deferral = waiting;
        Execution ended = execution;
        delivery.defer(
                waiting,
                firstAttempt() > 0 ? lastAttempt() : delivery.handedBack(),
                ended == null ? delivery.failures() : ended.failures());
    }

    /** @param known null if it is the first run */
    private void conclude(Recovery.@Nullable Known known, Outcome worked) throws InterruptedException {
        OutcomeWriter writer = new OutcomeWriter(replies, job.stream(), delivery, signal, context.settings());
        concluding = true;
        Outcome outcome = writer.publish(worked);
        boolean again = outcome != null && (known != null || delivery.mayHaveRunAfterAll());
        if (outcome == null || (again && !settle(known == null ? lookUp() : lookUpAgain(known), outcome, writer))) {
            // another replica finds what is on the broker, and publishes or acknowledges the rest
            handBack();
            return;
        }
        delivery.acknowledge();
        context.meters().ended(job, outcome.event(), outcome.node());
        JobTrace.ended(outcome.event());
        log(outcome);
    }

    /** The log has no failure's message: a server's message may quote the prompt. */
    private void log(Outcome outcome) {
        if (outcome.event() instanceof JobEvent.Failed failed) {
            LOG.infof(
                    "job=%s outcome=failed code=%s attempts=%d",
                    job.id(), failed.failure().code().wireName(), lastAttempt());
        } else {
            LOG.debugf(
                    "job=%s outcome=%s attempts=%d",
                    job.id(), outcome.event().kind().wireName(), lastAttempt());
        }
    }

    /**
     * Looks the job up at the end of a run that recovered, or that may not have been the first one: another run may
     * have taken over and crashed since.
     *
     * @param first what is known now; null if the run was stopped before the broker answered
     * @return false if the run was stopped before a valid outcome was there
     */
    private boolean settle(Recovery.@Nullable Known first, Outcome outcome, OutcomeWriter writer)
            throws InterruptedException {
        Recovery.Known now = first;
        while (now != null && !now.reading().isClosed()) {
            if (!writer.publishAgain(outcome, now.reading().nextRunAttempt())) {
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

    /** @return null if the run was stopped before the broker answered */
    private Recovery.@Nullable Known asking(LookUp lookUp) throws InterruptedException {
        while (!signal.isOver()) {
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
