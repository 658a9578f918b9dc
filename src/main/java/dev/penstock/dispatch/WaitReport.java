package dev.penstock.dispatch;

import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Waiting;
import dev.penstock.route.RouteKey;
import java.time.Clock;
import java.time.Instant;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Reports why jobs wait. It covers jobs in flight that do not run, and jobs that this replica deferred because their
 * nodes are down. Thread-safe.
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

    private record Deferred(JobId id, RouteKey routeKey, String tenant, Instant due) {}

    private record Asked(RouteKey routeKey, String tenant) {}

    WaitReport(Waits waits, RunsInFlight runs, Clock clock) {
        this.waits = waits;
        this.runs = runs;
        this.clock = clock;
    }

    /** Forgets the deferral of a job that is in flight again. */
    void taken(TakenJob job) {
        deferredHere.remove(job.place());
    }

    /** Remembers the job of a run that ended with a deferral because the job's nodes are down. */
    void ended(JobRun run) {
        Deferral deferral = run.deferral();
        if (deferral != null && deferral.why() == Waiting.Code.NODE_DOWN && deferral.routeKey() != null) {
            deferredHere.put(
                    run.taken().place(),
                    new Deferred(
                            run.taken().job().id(),
                            deferral.routeKey(),
                            run.taken().job().tenant(),
                            clock.instant().plus(deferral.delay().length())));
        }
    }

    /** Returns the waiting jobs by the reason of their wait. */
    Map<Waiting.Code, WaitingJobs> now() {
        Map<Waiting.Code, WaitingJobs> groups = new EnumMap<>(Waiting.Code.class);
        Map<Asked, Waiting> reasons = new HashMap<>();
        for (JobRun each : runs.waiting()) {
            Asked asked = new Asked(each.routeKey(), each.taken().job().tenant());
            count(groups, each.taken().job().id(), reason(reasons, asked));
        }
        Instant now = clock.instant();
        synchronized (deferredHere) {
            deferredHere
                    .values()
                    .removeIf(deferred -> !deferred.due().isAfter(now) || waits.mayGoOn(deferred.routeKey()));
            deferredHere
                    .values()
                    .forEach(deferred -> count(
                            groups, deferred.id(), reason(reasons, new Asked(deferred.routeKey(), deferred.tenant()))));
        }
        return groups;
    }

    private Waiting reason(Map<Asked, Waiting> known, Asked asked) {
        return known.computeIfAbsent(asked, each -> waits.of(each.routeKey(), each.tenant(), clock.instant()));
    }

    private static void count(Map<Waiting.Code, WaitingJobs> groups, JobId id, Waiting waiting) {
        groups.merge(waiting.code(), new WaitingJobs(1, id, waiting.message()), WaitingJobs::and);
    }
}
