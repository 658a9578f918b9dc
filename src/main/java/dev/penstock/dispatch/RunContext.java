package dev.penstock.dispatch;

import dev.penstock.execution.ExecutionContext;
import dev.penstock.execution.RunMeters;
import dev.penstock.job.JobId;
import dev.penstock.ledger.Ledger;
import dev.penstock.reply.Recovery;
import dev.penstock.route.match.Rules;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.Counter;
import java.time.Clock;
import java.util.function.Predicate;

/**
 * The parts that every run needs.
 *
 * @param rules the routing rules
 * @param cancelled tests whether a client has cancelled a job
 * @param smallerInFlight tests whether this replica has an earlier record of the same job in flight
 * @param duplicates the counter of duplicates
 */
record RunContext(
        Scheduler scheduler,
        Rules rules,
        Recovery recovery,
        Ledger ledger,
        Predicate<JobId> cancelled,
        Quarantine quarantine,
        Predicate<TakenJob> smallerInFlight,
        Counter duplicates,
        ExecutionContext execution) {

    Settings settings() {
        return execution.settings();
    }

    Clock clock() {
        return execution.clock();
    }

    RunMeters meters() {
        return execution.meters();
    }
}
