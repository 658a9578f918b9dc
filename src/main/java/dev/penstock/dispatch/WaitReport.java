package dev.penstock.dispatch;

import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Waiting;
import java.time.Clock;
import java.time.Instant;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Reports why jobs wait. It covers jobs in flight that do not run, and jobs that this replica deferred because their
 * nodes are down or paused, or because their topic is paused. Thread-safe.
 */
final class WaitReport {
    private static final int REMEMBERED = 10_000;

    private final Waits waits;
    private final RunsInFlight runs;
    private final Clock clock;

    /** The deferred jobs by their origin. Only the latest {@link #REMEMBERED} entries are kept. */
    private final Map<RecordPlace, Deferred> deferredHere = Collections.synchronizedMap(new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<RecordPlace, Deferred> eldest) {
            return size() > REMEMBERED;
        }
    });

    private record Deferred(JobId id, Waits.Subject subject, Waiting.Code why, Instant due) {}

    WaitReport(Waits waits, RunsInFlight runs, Clock clock) {
        this.waits = waits;
        this.runs = runs;
        this.clock = clock;
    }

    /** Forgets the deferral of a job that is in flight again. */
    void taken(TakenJob job) {
        deferredHere.remove(job.place());
    }

    /** Remembers the job of a run that ended with a deferral because its nodes are down, or its topic is paused. */
    void ended(JobRun run) {
        Deferral deferral = run.deferral();
        if (deferral != null && Waits.ENDS_EARLY.contains(deferral.why()) && deferral.routeKey() != null) {
            deferredHere.put(
                    run.taken().place(),
                    new Deferred(
                            run.taken().job().id(),
                            new Waits.Subject(
                                    run.taken().place().topic(),
                                    run.taken().job().tenant(),
                                    deferral.routeKey()),
                            deferral.why(),
                            clock.instant().plus(deferral.delay().length())));
        }
    }

    /** Returns the waiting jobs by the reason of their wait. */
    Map<Waiting.Code, WaitingJobs> now() {
        Map<Waiting.Code, WaitingJobs> groups = new EnumMap<>(Waiting.Code.class);
        Map<Waits.Subject, Waiting> reasons = new HashMap<>();
        for (JobRun each : runs.waiting()) {
            // a pause of the topic does not hold a job that has started
            String topic = each.hasStarted() ? null : each.taken().place().topic();
            Waits.Subject subject = new Waits.Subject(topic, each.taken().job().tenant(), each.routeKey());
            count(groups, each.taken().job().id(), reason(reasons, subject));
        }
        Instant now = clock.instant();
        synchronized (deferredHere) {
            deferredHere
                    .values()
                    .removeIf(deferred ->
                            !deferred.due().isAfter(now) || waits.mayGoOn(deferred.why(), deferred.subject()));
            deferredHere
                    .values()
                    .forEach(deferred -> count(groups, deferred.id(), reason(reasons, deferred.subject())));
        }
        return groups;
    }

    private Waiting reason(Map<Waits.Subject, Waiting> known, Waits.Subject subject) {
        return known.computeIfAbsent(subject, asked -> waits.of(asked, clock.instant()));
    }

    private static void count(Map<Waiting.Code, WaitingJobs> groups, JobId id, Waiting waiting) {
        groups.merge(waiting.code(), new WaitingJobs(1, id, waiting.message()), WaitingJobs::and);
    }
}
