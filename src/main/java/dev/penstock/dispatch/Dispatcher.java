package dev.penstock.dispatch;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.RunStarts;
import dev.penstock.job.Waiting;
import dev.penstock.ledger.Ledger;
import dev.penstock.ledger.LedgerDatabase;
import dev.penstock.node.Nodes;
import dev.penstock.node.Replicas;
import dev.penstock.reply.JobReplies;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.schedule.RouteKey;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.Settings;
import dev.penstock.wire.IntakeMode;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedSet;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** The jobs in this replica's hand. Each runs on the virtual thread that calls {@link #run}. */
@Singleton
public class Dispatcher {
    private static final Logger LOG = Logger.getLogger(Dispatcher.class);
    private static final int REMEMBERED = 10_000;
    private static final Duration DRAIN_REPORT = Duration.ofSeconds(5);
    private static final Duration HAND_BACK_WITHIN = Duration.ofSeconds(5);

    private final ReplyTopic topic;
    private final CancelCommands commands;
    private final Ledger ledger;
    private final Nodes nodes;
    private final RunContext context;
    private final Waits waits;
    private final WaitLog waitLog;
    private final Clock clock;
    /** By the record that the job came in; a copy counts as its origin. */
    private final Map<RecordPlace, InHand> inHand = new ConcurrentHashMap<>();

    /** Of jobs whose id is their producer's choice. */
    private final Map<JobId, SortedSet<RecordStamp>> byId = new ConcurrentHashMap<>();

    /** First attempts of runs that ended here because their records were lost; the latest of many. */
    private final Map<RecordPlace, List<Integer>> lostHere = Collections.synchronizedMap(new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<RecordPlace, List<Integer>> eldest) {
            return size() > REMEMBERED;
        }
    });

    /** By the record that the job came in; the latest of many. */
    private final Map<RecordPlace, Deferred> deferredHere = Collections.synchronizedMap(new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<RecordPlace, Deferred> eldest) {
            return size() > REMEMBERED;
        }
    });

    private record Deferred(JobId id, RouteKey routeKey, Instant due) {}

    private volatile boolean draining;

    private record InHand(JobRun run, CompletableFuture<@Nullable Void> ended) {}

    public Dispatcher(
            ReplyTopic topic,
            CancelCommands commands,
            Scheduler scheduler,
            Recovery recovery,
            Ledger ledger,
            Nodes nodes,
            Settings settings,
            Clock clock,
            MeterRegistry meters,
            Traces traces,
            Waits waits) {
        this.topic = topic;
        this.commands = commands;
        this.ledger = ledger;
        this.nodes = nodes;
        this.waits = waits;
        this.clock = clock;
        waitLog = new WaitLog(clock, LOG::info);
        Gauge.builder("penstock.jobs.parked", inHand, Dispatcher::waiting).register(meters);
        context = new RunContext(
                scheduler,
                recovery,
                ledger,
                commands::isCancelled,
                new Quarantine(meters),
                this::hasSmaller,
                settings,
                clock,
                new RunMeters(meters),
                traces.tracer());
    }

    /**
     * Begins to follow the commands and to keep the ledger; returns when all commands that are there now are known.
     *
     * @param topicIds of each job topic
     * @param mode how jobs are taken
     * @throws Unusable the message says what to do
     */
    public void start(Map<String, UUID> topicIds, IntakeMode mode) throws InterruptedException, Unusable {
        commands.follow(this::cancel);
        try {
            ledger.start(topicIds, mode);
        } catch (LedgerDatabase.Unusable e) {
            throw new Unusable(String.valueOf(e.getMessage()), e);
        }
    }

    /**
     * Asks who the live replicas are, and shares what each node takes at once among them.
     *
     * @return what is too much for a node all the same, by its name
     */
    public Map<String, String> shareNodes(Admin admin) throws ExecutionException, InterruptedException {
        Ledger.Members live = ledger.members(admin);
        // a group that has nobody is not there yet, or its broker has forgotten it: what is known stays
        if (!live.all().isEmpty()) {
            nodes.share(new Replicas(live.all(), live.own()));
        }
        return nodes.exceeded();
    }

    /** Something has to be done by whoever runs Penstock. */
    public static final class Unusable extends Exception {
        Unusable(String message, Throwable cause) {
            super(message, cause);
        }
    }

    /** After {@link #drain}. */
    public void stop() {
        ledger.stop();
    }

    /**
     * Runs a job to its end, or until it is stopped or set aside. A run of the same record that this replica still has, after
     * it lost its lock, is ended first; one of a copy of it, or of what it is a copy of, may end by itself.
     *
     * @return why the record is refused after all; empty: it is acknowledged, or it comes again
     */
    public Optional<JobFailure> run(TakenJob taken, Delivery delivery) throws InterruptedException {
        PromptJob job = taken.job();
        InHand own = new InHand(
                new JobRun(
                        taken,
                        delivery,
                        new JobReplies(
                                topic,
                                job.id(),
                                EventMark.newRun(),
                                taken.traceparent() == null
                                        ? null
                                        : taken.traceparent().get()),
                        context),
                new CompletableFuture<>());
        deferredHere.remove(taken.place());
        InHand before;
        boolean waited = false;
        while ((before = inHand.putIfAbsent(taken.place(), own)) != null) {
            if (before.run().taken().inHand().equals(taken.inHand())) {
                before.run().stop(StopSignal.Reason.LOCK_LOST);
            }
            before.ended().join();
            waited = true;
        }
        own.run().excuse(lostHere.getOrDefault(taken.place(), List.of()));
        if (draining) {
            own.run().stop(StopSignal.Reason.SHUTDOWN);
        }
        if (taken.namesItself()) {
            byId.compute(job.id(), (_, stamps) -> {
                SortedSet<RecordStamp> more = stamps == null ? new ConcurrentSkipListSet<>() : stamps;
                more.add(taken.stamp());
                return more;
            });
        }
        try {
            // it may have been lost before there was a run that could be told
            return delivery.isGone() || (waited && !delivery.renew())
                    ? Optional.empty()
                    : Optional.ofNullable(own.run().run());
        } catch (RuntimeException | StackOverflowError e) {
            LOG.errorf(
                    e,
                    "job=%s record=%s an unexpected exception ended the run; after %d such runs the job is poison",
                    job.id(),
                    taken.place(),
                    Quarantine.POISON);
            return Optional.ofNullable(own.run().broke());
        } finally {
            byId.computeIfPresent(job.id(), (_, stamps) -> {
                stamps.remove(taken.stamp());
                return stamps.isEmpty() ? null : stamps;
            });
            if (own.run().firstAttemptOfLost() > 0) {
                lostHere.merge(taken.place(), List.of(own.run().firstAttemptOfLost()), Dispatcher::joined);
            }
            Deferral deferral = own.run().deferral();
            if (deferral != null && deferral.why() == Waiting.Code.NODE_DOWN && deferral.routeKey() != null) {
                deferredHere.put(
                        taken.place(),
                        new Deferred(
                                job.id(),
                                deferral.routeKey(),
                                clock.instant().plus(deferral.delay().length())));
            }
            inHand.remove(taken.place(), own);
            own.ended().complete(null);
        }
    }

    private static List<Integer> joined(List<Integer> some, List<Integer> more) {
        List<Integer> all = new ArrayList<>(some);
        all.addAll(more);
        return all.subList(Math.max(0, all.size() - RunStarts.MOST), all.size());
    }

    private boolean hasSmaller(TakenJob taken) {
        SortedSet<RecordStamp> stamps = byId.get(taken.job().id());
        return stamps != null && !stamps.headSet(taken.stamp()).isEmpty();
    }

    /**
     * The record is lost to this replica: whoever runs it here stops.
     *
     * @param origin the record that the job came in
     * @param record itself, or a copy of it
     */
    public void lost(RecordPlace origin, RecordPlace record) {
        stop(origin, record, StopSignal.Reason.LOCK_LOST);
    }

    /** The record goes to another replica: whoever runs it here stops, and hands it back. */
    public void leave(RecordPlace origin, RecordPlace record) {
        stop(origin, record, StopSignal.Reason.SHUTDOWN);
    }

    private void stop(RecordPlace origin, RecordPlace record, StopSignal.Reason reason) {
        InHand running = inHand.get(origin);
        if (running != null && running.run().taken().inHand().equals(record)) {
            running.run().stop(reason);
        }
    }

    private void cancel(JobId id) {
        inHand.values().stream()
                .filter(job -> job.run().taken().job().id().equals(id))
                .forEach(job -> job.run().stop(StopSignal.Reason.CANCELLED));
    }

    /**
     * Hands back the jobs that only wait, and waits for the others to end; those that have not by then are stopped without a
     * word, and handed back too.
     */
    public void drain(Duration atMost) throws InterruptedException {
        draining = true;
        inHand.values().stream()
                .filter(job -> job.run().isWaiting())
                .forEach(job -> job.run().stop(StopSignal.Reason.SHUTDOWN));
        if (!awaitEndsAloud(atMost)) {
            LOG.warnf(
                    "%d jobs have not ended within penstock.drain.timeout: another replica takes them", inHand.size());
            inHand.values().forEach(job -> job.run().stop(StopSignal.Reason.SHUTDOWN));
            if (!awaitEnds(HAND_BACK_WITHIN)) {
                LOG.warnf("%d jobs could not be handed back: they come again when their locks end", inHand.size());
            }
        }
    }

    /** Says what it waits for: at once, and when that changes, every five seconds at most. */
    private boolean awaitEndsAloud(Duration atMost) throws InterruptedException {
        long until = System.nanoTime() + atMost.toNanos();
        DrainLog log = new DrainLog(LOG::info);
        while (true) {
            log.look(running(), secondsUntil(until));
            Duration left = Duration.ofNanos(Math.max(0, until - System.nanoTime()));
            Duration step = left.compareTo(DRAIN_REPORT) < 0 ? left : DRAIN_REPORT;
            if (awaitEnds(step)) {
                log.look(List.of(), 0);
                return true;
            }
            if (step.equals(left)) {
                return false;
            }
        }
    }

    private List<DrainLog.Left> running() {
        return inHand.values().stream()
                .map(job -> job.run().taken().job())
                .map(job -> new DrainLog.Left(job.id(), job.acceptedAt()))
                .toList();
    }

    private static long secondsUntil(long until) {
        return Math.max(0, TimeUnit.NANOSECONDS.toSeconds(until - System.nanoTime()));
    }

    /** Also for runs that begin meanwhile. */
    private boolean awaitEnds(Duration atMost) throws InterruptedException {
        long end = System.nanoTime() + atMost.toNanos();
        List<InHand> left = List.copyOf(inHand.values());
        while (!left.isEmpty()) {
            CompletableFuture<?> all =
                    CompletableFuture.allOf(left.stream().map(InHand::ended).toArray(CompletableFuture[]::new));
            try {
                all.get(Math.max(0, end - System.nanoTime()), TimeUnit.NANOSECONDS);
            } catch (TimeoutException _) {
                return false;
            } catch (ExecutionException e) {
                throw new AssertionError("runs never end exceptionally", e);
            }
            left = List.copyOf(inHand.values());
        }
        return true;
    }

    /** @param nothingMore whether the intake takes no further jobs, for want of memory */
    public void crowdedWhile(BooleanSupplier nothingMore) {
        context.scheduler().crowdedWhile(nothingMore);
    }

    /** Whether any node takes jobs now; where none does, no further records should be taken. */
    public boolean isOpen() {
        return context.scheduler().isOpen();
    }

    /** Why each node that is down is so, by its name. */
    public Map<String, String> nodesDown() {
        return nodes.down();
    }

    /** Why jobs wait that are in hand here and do not run, and those that this replica deferred since their nodes are down. */
    public Map<Waiting.Code, WaitingJobs> waits() {
        Map<Waiting.Code, WaitingJobs> groups = new EnumMap<>(Waiting.Code.class);
        Map<RouteKey, Waiting> reasons = new HashMap<>();
        for (InHand each : inHand.values()) {
            if (each.run().isWaiting()) {
                PromptJob job = each.run().taken().job();
                count(groups, job.id(), reason(reasons, RouteKey.of(job)));
            }
        }
        Instant now = clock.instant();
        synchronized (deferredHere) {
            deferredHere
                    .values()
                    .removeIf(deferred -> !deferred.due().isAfter(now) || waits.mayGoOn(deferred.routeKey()));
            deferredHere
                    .values()
                    .forEach(deferred -> count(groups, deferred.id(), reason(reasons, deferred.routeKey())));
        }
        return groups;
    }

    private Waiting reason(Map<RouteKey, Waiting> known, RouteKey routeKey) {
        return known.computeIfAbsent(routeKey, asked -> waits.of(asked, clock.instant()));
    }

    private static void count(Map<Waiting.Code, WaitingJobs> groups, JobId id, Waiting waiting) {
        groups.merge(waiting.code(), new WaitingJobs(1, id, waiting.message()), WaitingJobs::and);
    }

    /** Tells why jobs wait, where that is for long. */
    public void logWaits() {
        waitLog.look(waits());
    }

    /** Of which kind the ledger is, and how it is. */
    public String ledger() {
        return ledger.standing();
    }

    /** How many jobs are in this replica's hand, waiting or running. */
    public int size() {
        return inHand.size();
    }

    /** How many of them only wait: for their turn, their node, or what happened earlier. */
    public int parked() {
        return waiting(inHand);
    }

    private static int waiting(Map<RecordPlace, InHand> jobs) {
        return (int) jobs.values().stream().filter(job -> job.run().isWaiting()).count();
    }

    /** How many jobs run apart from others, since two or more of their runs ended without a word. */
    public int quarantine() {
        return context.quarantine().running();
    }
}
