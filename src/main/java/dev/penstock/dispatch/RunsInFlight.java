package dev.penstock.dispatch;

import dev.penstock.execution.StopSignal;
import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.RecordStamp;
import dev.penstock.job.RunStarts;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** The runs of this replica, one for each origin. Thread-safe. */
final class RunsInFlight {
    private static final int REMEMBERED = 10_000;

    /** The runs, by the origin of their record. */
    private final Map<RecordPlace, Running> runs = new ConcurrentHashMap<>();

    /** The records in flight whose producer chose the job id, by that id. */
    private final Map<JobId, SortedSet<RecordStamp>> byId = new ConcurrentHashMap<>();

    /**
     * The first attempts of runs that ended because this replica lost their records, by origin. Only the latest {@link
     * #REMEMBERED} entries are kept.
     */
    private final Map<RecordPlace, List<Integer>> lostHere = Collections.synchronizedMap(new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<RecordPlace, List<Integer>> eldest) {
            return size() > REMEMBERED;
        }
    });

    private volatile boolean draining;

    private record Running(JobRun run, CompletableFuture<@Nullable Void> ended) {}

    /** The entry of a run in flight. Closing it removes the run. */
    final class Entry implements AutoCloseable {
        private final Running running;
        private final boolean waited;

        private Entry(Running running, boolean waited) {
            this.running = running;
            this.waited = waited;
        }

        /** Returns whether an earlier run of the same record had to end first. */
        boolean hasWaited() {
            return waited;
        }

        @Override
        public void close() {
            leave(running);
        }
    }

    /**
     * Adds a run after an earlier run with the same origin has ended. If the earlier run has the same record, it has
     * lost its lock and is stopped. If only the origin is the same, the earlier run ends by itself.
     */
    Entry enter(JobRun run) {
        TakenJob taken = run.taken();
        Running own = new Running(run, new CompletableFuture<>());
        Running before;
        boolean waited = false;
        while ((before = runs.putIfAbsent(taken.place(), own)) != null) {
            if (before.run().taken().inHand().equals(taken.inHand())) {
                before.run().stop(StopSignal.Reason.LOCK_LOST);
            }
            before.ended().join();
            waited = true;
        }
        run.excuse(lostHere.getOrDefault(taken.place(), List.of()));
        if (draining) {
            run.stop(StopSignal.Reason.SHUTDOWN);
        }
        if (taken.namesItself()) {
            byId.compute(taken.job().id(), (_, stamps) -> {
                SortedSet<RecordStamp> more = stamps == null ? new ConcurrentSkipListSet<>() : stamps;
                more.add(taken.stamp());
                return more;
            });
        }
        return new Entry(own, waited);
    }

    private void leave(Running own) {
        TakenJob taken = own.run().taken();
        byId.computeIfPresent(taken.job().id(), (_, stamps) -> {
            stamps.remove(taken.stamp());
            return stamps.isEmpty() ? null : stamps;
        });
        if (own.run().firstAttemptOfLost() > 0) {
            lostHere.merge(taken.place(), List.of(own.run().firstAttemptOfLost()), RunsInFlight::joined);
        }
        runs.remove(taken.place(), own);
        own.ended().complete(null);
    }

    private static List<Integer> joined(List<Integer> some, List<Integer> more) {
        List<Integer> all = new ArrayList<>(some);
        all.addAll(more);
        return all.subList(Math.max(0, all.size() - RunStarts.MOST), all.size());
    }

    /** Returns whether another run has an earlier record of the same job, in the order of {@link RecordStamp}. */
    boolean hasSmaller(TakenJob taken) {
        SortedSet<RecordStamp> stamps = byId.get(taken.job().id());
        return stamps != null && !stamps.headSet(taken.stamp()).isEmpty();
    }

    /**
     * Stops the run of a record.
     *
     * @param origin the record in which the job arrived
     * @param record the record in flight: the origin itself, or a deferred record of it
     */
    void stop(RecordPlace origin, RecordPlace record, StopSignal.Reason reason) {
        Running running = runs.get(origin);
        if (running != null && running.run().taken().inHand().equals(record)) {
            running.run().stop(reason);
        }
    }

    void cancel(JobId id) {
        runs.values().stream()
                .filter(each -> each.run().taken().job().id().equals(id))
                .forEach(each -> each.run().stop(StopSignal.Reason.CANCELLED));
    }

    /** Stops the waiting runs, and each run that begins from now on. */
    void stopWaiting() {
        draining = true;
        waiting().forEach(run -> run.stop(StopSignal.Reason.SHUTDOWN));
    }

    /** Stops all runs. */
    void stopAll() {
        runs.values().forEach(each -> each.run().stop(StopSignal.Reason.SHUTDOWN));
    }

    /** Waits until all runs have ended, including runs that begin meanwhile. */
    boolean awaitEnds(Duration atMost) throws InterruptedException {
        long end = System.nanoTime() + atMost.toNanos();
        List<Running> left = List.copyOf(runs.values());
        while (!left.isEmpty()) {
            CompletableFuture<?> all =
                    CompletableFuture.allOf(left.stream().map(Running::ended).toArray(CompletableFuture[]::new));
            try {
                all.get(Math.max(0, end - System.nanoTime()), TimeUnit.NANOSECONDS);
            } catch (TimeoutException _) {
                return false;
            } catch (ExecutionException e) {
                throw new AssertionError("runs never end exceptionally", e);
            }
            left = List.copyOf(runs.values());
        }
        return true;
    }

    /** Returns the jobs that have a run. */
    List<TakenJob> jobs() {
        return runs.values().stream().map(each -> each.run().taken()).toList();
    }

    /** Returns the runs that wait: for their turn, for a node, or for the check of earlier runs. */
    List<JobRun> waiting() {
        return runs.values().stream()
                .map(Running::run)
                .filter(JobRun::isWaiting)
                .toList();
    }

    int size() {
        return runs.size();
    }
}
