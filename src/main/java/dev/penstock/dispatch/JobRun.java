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
import dev.penstock.route.RouteKey;
import dev.penstock.route.balance.Demand;
import dev.penstock.route.match.Decision;
import dev.penstock.schedule.Admission;
import dev.penstock.schedule.Delay;
import dev.penstock.schedule.QueueEntry;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * One run of one Kafka job by this replica, from the delivery of its record to the acknowledgement. The run recovers
 * the results of earlier runs, executes the job, and publishes one outcome. If an earlier run is possible, it then
 * looks the job up once more. At the end it acknowledges the record. Its virtual thread owns it; other threads may call
 * {@link #stop} and {@link #isWaiting}.
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
    private final Decision decision;
    private final RouteKey routeKey;
    private final StopSignal signal = new StopSignal();
    private List<Integer> excused = List.of();
    /** The job's last attempt before this run. */
    private int attemptsBefore;

    private @Nullable ReplySink sink;
    private @Nullable Deferral deferral;
    private volatile @Nullable Execution execution;
    /** Whether the run is publishing its outcome. */
    private volatile boolean concluding;

    JobRun(TakenJob taken, Delivery delivery, JobReplies replies, RunContext context) {
        this.taken = taken;
        job = taken.job();
        this.delivery = delivery;
        this.replies = replies;
        this.context = context;
        decision = context.rules().decide(job, taken.place().topic(), taken.source());
        routeKey = RouteKey.of(job, decision);
    }

    TakenJob taken() {
        return taken;
    }

    RouteKey routeKey() {
        return routeKey;
    }

    void stop(StopSignal.Reason reason) {
        signal.stop(reason);
    }

    /** Returns the first attempt of this run if the run ended because this replica lost the record; otherwise 0. */
    int firstAttemptOfLost() {
        return signal.reason() == StopSignal.Reason.LOCK_LOST ? firstAttempt() : 0;
    }

    /** Returns the deferral if the run deferred the job because no node could take it; otherwise null. */
    @Nullable
    Deferral deferral() {
        return deferral;
    }

    /** Returns whether the run waits: for its turn, for a node, or for the check of earlier runs. */
    boolean isWaiting() {
        Execution running = execution;
        return !concluding && (running == null || running.isWaiting());
    }

    /**
     * Sets the runs of this job that do not count as crashed, because this replica ended them itself.
     *
     * @param firstAttempts the first attempt of each of these runs
     */
    void excuse(Collection<Integer> firstAttempts) {
        excused = List.copyOf(firstAttempts);
    }

    /** Returns whether this run has made an attempt. */
    boolean hasStarted() {
        return firstAttempt() > 0;
    }

    private int firstAttempt() {
        Execution running = execution;
        return running == null ? 0 : running.firstAttempt();
    }

    private int lastAttempt() {
        Execution running = execution;
        return running == null ? attemptsBefore : running.lastAttempt();
    }

    /** Returns the last attempt of this run; 0 if it made none. */
    private int lastAttemptHere() {
        return hasStarted() ? lastAttempt() : 0;
    }

    /**
     * Runs the job.
     *
     * @return the reason to refuse the record if another job has its id; otherwise null
     */
    @Nullable
    JobFailure run() throws InterruptedException {
        if (delivery.isLastDelivery()) {
            delivery.defer(Deferral.HANDED_BACK, delivery.handedBack(), delivery.failures());
            return null;
        }
        switch (new DuplicateCheck(
                        taken, delivery, replies, signal, decision.rule().handling(), context)
                .advise()) {
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

    /** Hands the job back to another replica if this replica stops. */
    private void handBack() throws InterruptedException {
        if (signal.reason() == StopSignal.Reason.SHUTDOWN) {
            delivery.handBack(lastAttemptHere());
        }
    }

    /** @param recovered the state that earlier runs left; null if this is the first run */
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
     * Handles an unexpected exception that ended the run. If the run has sent {@code started}, its events count the
     * run. Otherwise a deferred record counts it. So the job ends as poison after enough runs, even if replicas restart
     * in between.
     *
     * @return the failure with which the caller must refuse the record, if an exception has ended even the run that
     *     had to publish the poison failure; otherwise null
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

    /** @param recovered the state that earlier runs left; null if this is the first run */
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
        ReplySink publishing = new ReplySink(replies, recovered, () -> isValid(known, recovered));
        sink = publishing;
        Work work = new Work(
                job,
                decision.rule(),
                taken.place(),
                known.firstStarted(),
                attemptsBefore,
                known.reading().nextOutcomeAttempt(),
                delivery.failures(),
                known.text());
        try (QueueEntry entry = context.scheduler()
                .enter(
                        routeKey,
                        Demand.of(job, decision.rule(), context.settings().parameters()),
                        decision.priority(job),
                        job.tenant(),
                        taken.place().topic(),
                        taken.isDeferred(),
                        job.deadline())) {
            Execution running = new Execution(work, entry, publishing, signal, delivery::renew, context.execution());
            execution = running;
            return running.run();
        }
    }

    /**
     * Returns whether readers take the events of the current attempt. If the job may have another run, that run may have
     * begun an attempt of the same number before. Then this attempt is void, and no reader has its text.
     */
    private boolean isValid(Recovery.Known known, boolean recovered) throws InterruptedException {
        if (!recovered && !delivery.mayHaveRunAfterAll()) {
            return true;
        }
        Recovery.Known now = recovered ? lookUpAgain(known) : lookUp();
        return now != null
                && now.reading().attempt() == replies.attempt()
                && replies.run().equals(now.reading().run());
    }

    /** Defers the job. The delay is shorter than the time that the job has left. */
    private void defer(Admission.Cause cause, Duration left) throws InterruptedException {
        Delay delay = Delay.of(cause, delivery.deferredSince(), context.clock().instant())
                .within(left);
        Waiting.Code why = switch (cause) {
            case NODES_DOWN -> Waiting.Code.NODE_DOWN;
            case TOPIC_PAUSED -> Waiting.Code.PAUSED;
            case NODES_FULL -> Waiting.Code.SLOT;
            case TENANT_LIMIT -> Waiting.Code.TENANT_LIMIT;
        };
        Deferral waiting = new Deferral(delay, why, routeKey);
        deferral = waiting;
        Execution ended = execution;
        delivery.defer(
                waiting,
                hasStarted() ? lastAttempt() : delivery.handedBack(),
                ended == null ? delivery.failures() : ended.failures());
    }

    /** @param known the state that earlier runs left; null if this is the first run */
    private void conclude(Recovery.@Nullable Known known, Outcome worked) throws InterruptedException {
        OutcomeWriter writer = new OutcomeWriter(replies, job.stream(), delivery, signal, context.settings());
        concluding = true;
        Outcome outcome = writer.publish(worked);
        boolean again = outcome != null && (known != null || delivery.mayHaveRunAfterAll());
        if (outcome == null || (again && !settle(known == null ? lookUp() : lookUpAgain(known), outcome, writer))) {
            // the next run finds the events on the broker; it publishes the missing outcome or acknowledges the
            // record
            handBack();
            return;
        }
        if (again) {
            delivery.acknowledge();
        } else {
            delivery.acknowledgeOnlyRun();
        }
        context.meters().ended(job, outcome.event(), outcome.node());
        JobTrace.ended(outcome.event());
        log(outcome);
    }

    /** Logs the outcome without a failure's message, because a server's message may quote the prompt. */
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
     * Looks the job up until a valid outcome is on the broker. This is necessary at the end of a run if it may not be
     * the job's only run: another run may have taken over and crashed in the meantime.
     *
     * @param first the result of the first look-up; null if the run was stopped before the broker answered
     * @return false if the run was stopped before a valid outcome was on the broker
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

    /**
     * Repeats a look-up until the broker answers.
     *
     * @return null if the run was stopped before the broker answered
     */
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
