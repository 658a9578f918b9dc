package dev.penstock.dispatch;

import dev.penstock.execution.ExecutionContext;
import dev.penstock.execution.StopSignal;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Waiting;
import dev.penstock.ledger.Ledger;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.node.Nodes;
import dev.penstock.node.Replicas;
import dev.penstock.reply.JobReplies;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.reply.WebhookTopic;
import dev.penstock.route.match.Rules;
import dev.penstock.schedule.Scheduler;
import dev.penstock.wire.record.IntakeMode;
import dev.penstock.wire.record.Pauses;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Runs the jobs of this replica. Each job runs on the virtual thread that calls {@link #run}. */
@Singleton
public class Dispatcher {
    private static final Logger LOG = Logger.getLogger(Dispatcher.class);

    private final ReplyTopic topic;
    private final WebhookTopic webhooks;
    private final CancelCommands commands;
    private final Ledger ledger;
    private final Nodes nodes;
    private final RunContext context;
    private final RunsInFlight runs = new RunsInFlight();
    private final WaitReport waits;
    private final WaitLog waitLog;

    public Dispatcher(
            ReplyTopic topic,
            WebhookTopic webhooks,
            CancelCommands commands,
            Scheduler scheduler,
            Recovery recovery,
            Ledger ledger,
            Nodes nodes,
            MeterRegistry meters,
            ExecutionContext execution,
            Waits waits) {
        this.topic = topic;
        this.webhooks = webhooks;
        this.commands = commands;
        this.ledger = ledger;
        this.nodes = nodes;
        this.waits = new WaitReport(waits, runs, execution.clock());
        waitLog = new WaitLog(execution.clock(), LOG::info);
        Gauge.builder("penstock.jobs.parked", runs, each -> each.waiting().size())
                .register(meters);
        context = new RunContext(
                scheduler,
                new Rules(execution.settings()),
                recovery,
                ledger,
                commands::isCancelled,
                new Quarantine(meters),
                runs::hasSmaller,
                meters.counter("penstock.duplicates"),
                execution);
    }

    /**
     * Starts to read the commands, then starts the ledger. Returns after all commands that exist now have been read.
     *
     * @param topicIds the id of each job topic
     * @param mode how the intake receives jobs
     * @throws Unusable if the database of the ledger cannot be used; the message says what the operator must do
     */
    public void start(Map<String, UUID> topicIds, IntakeMode mode) throws InterruptedException, Unusable {
        commands.follow(runs::cancel);
        try {
            ledger.start(topicIds, mode);
        } catch (LedgerDatabase.Unusable e) {
            throw new Unusable(String.valueOf(e.getMessage()), e);
        }
    }

    /**
     * Finds the replicas that are alive, and divides the limits of the nodes and of the tenants among them.
     *
     * @return the warnings for limits that the replicas may exceed together: {@code slots.} and the node's name, or {@code
     *     tenants.} and the tenant's name
     */
    public Map<String, String> shareLimits(Admin admin) throws ExecutionException, InterruptedException {
        Ledger.Members live = ledger.members(admin);
        // if there are no members, the group does not exist yet or the broker has forgotten it: keep the known members
        if (!live.all().isEmpty()) {
            Replicas replicas = new Replicas(live.all(), live.own());
            nodes.share(replicas);
            context.scheduler().share(replicas);
        }
        Map<String, String> exceeded = new TreeMap<>();
        nodes.exceeded().forEach((node, words) -> exceeded.put("slots." + node, words));
        context.scheduler()
                .askTenants((tenants, _) -> tenants.exceeded())
                .forEach((tenant, words) -> exceeded.put("tenants." + tenant, words));
        return exceeded;
    }

    /** Reports a problem that the operator must solve. The message says how. */
    public static final class Unusable extends Exception {
        Unusable(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** Stops the ledger. It must be called after {@link #drain}. */
    public void stop() {
        ledger.stop();
    }

    /**
     * Runs a job to its end, or until it is stopped or deferred.
     *
     * @return the reason to refuse the record; empty if the record is acknowledged or will be delivered again
     */
    public Optional<JobFailure> run(TakenJob taken, Delivery delivery) throws InterruptedException {
        JobRun run = new JobRun(taken, delivery, replies(taken), context);
        waits.taken(taken);
        try (RunsInFlight.Entry entry = runs.enter(run)) {
            try {
                // the record may have been lost before this run was in flight; then nothing has stopped the run
                return delivery.isGone() || (entry.hasWaited() && !delivery.renew())
                        ? Optional.empty()
                        : Optional.ofNullable(run.run());
            } catch (RuntimeException | StackOverflowError e) {
                LOG.errorf(
                        e,
                        "job=%s record=%s an unexpected exception ended the run; after %d such runs the job is poison",
                        taken.job().id(),
                        taken.place(),
                        Quarantine.POISON);
                return Optional.ofNullable(run.broke());
            } finally {
                waits.ended(run);
            }
        }
    }

    private JobReplies replies(TakenJob taken) {
        byte @Nullable [] traceparent =
                taken.traceparent() == null ? null : taken.traceparent().get();
        PromptJob job = taken.job();
        return new JobReplies(
                topic,
                webhooks.of(job.id(), job.webhook(), job.acceptedAt(), traceparent),
                job.id(),
                EventMark.newRun(),
                traceparent,
                context.execution().nanos());
    }

    /**
     * Stops the run of a record that this replica has lost.
     *
     * @param origin the record in which the job arrived
     * @param record the record in flight: the origin itself, or a deferred record of it
     */
    public void lost(RecordPlace origin, RecordPlace record) {
        runs.stop(origin, record, StopSignal.Reason.LOCK_LOST);
    }

    /** Stops the run of a record that goes to another replica. The run hands the job back. */
    public void leave(RecordPlace origin, RecordPlace record) {
        runs.stop(origin, record, StopSignal.Reason.SHUTDOWN);
    }

    /**
     * Hands back the waiting jobs, and waits for the running jobs to end. After the given time it stops the remaining
     * runs, and hands their jobs back too.
     */
    public void drain(Duration atMost) throws InterruptedException {
        new Drain(runs).run(atMost);
    }

    /**
     * Sets the test for scarce memory.
     *
     * @param nothingMore tests whether the intake takes no further jobs because memory is short
     */
    public void crowdedWhile(BooleanSupplier nothingMore) {
        context.scheduler().crowdedWhile(nothingMore);
    }

    /** Returns whether any node takes jobs now. If none does, the intake takes no further records. */
    public boolean isOpen() {
        return nodes.anyTakesJobs();
    }

    /**
     * Returns whether any node takes jobs now, and the topic is not paused. Otherwise the intake takes no further records
     * of the topic.
     */
    public boolean isOpen(String topic) {
        return nodes.takeJobsOf(topic);
    }

    /** Returns how many jobs the nodes that are up take from this replica. */
    public int capacity() {
        return nodes.capacity();
    }

    /**
     * Returns how many jobs wait for full nodes while another node is idle. Later records may be jobs for the idle node.
     */
    public int blocked() {
        return context.scheduler().blocked();
    }

    /** Returns whether a job waits for a node that must load the job's model in place of another one. */
    public boolean swapsWait() {
        return context.scheduler().swapsWait();
    }

    /** Returns how many of a topic's own slots its jobs do not hold. */
    public int slotsLeft(String topic) {
        return context.scheduler().slotsLeft(topic);
    }

    /** Returns what an operator has paused. */
    public Pauses pauses() {
        return nodes.pauses();
    }

    /** Returns how many more jobs of a tenant may start now, by the tenant's limits. */
    public int tenantRoom(String tenant) {
        return context.scheduler().askTenants((tenants, now) -> tenants.room(tenant, now));
    }

    /** Returns the reason for each node that is down, by the node's name. */
    public Map<String, String> nodesDown() {
        return nodes.down();
    }

    /**
     * Returns the reasons why jobs wait. They cover jobs in flight in this replica that do not run, and jobs that this
     * replica deferred because their nodes are down or paused, or their topic is paused.
     */
    public Map<Waiting.Code, WaitingJobs> waits() {
        return waits.now();
    }

    /** Logs the reasons of long waits. */
    public void logWaits() {
        waitLog.look(waits());
    }

    /** Returns the kind of the ledger, and its state. */
    public String ledger() {
        return ledger.standing();
    }

    /** Returns how many jobs are in flight in this replica, waiting or running. */
    public int size() {
        return runs.size();
    }

    /** Returns how many jobs in flight wait: for their turn, for a node, or for the check of earlier runs. */
    public int parked() {
        return runs.waiting().size();
    }

    /** Returns how many quarantined jobs run. */
    public int quarantine() {
        return context.quarantine().running();
    }
}
