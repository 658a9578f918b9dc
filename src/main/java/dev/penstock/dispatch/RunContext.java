package dev.penstock.dispatch;

import dev.penstock.job.JobId;
import dev.penstock.ledger.Ledger;
import dev.penstock.reply.Recovery;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.Settings;
import io.opentelemetry.api.trace.Tracer;
import java.time.Clock;
import java.util.function.Predicate;

/** What every run needs. */
record RunContext(
        Scheduler scheduler,
        Recovery recovery,
        Ledger ledger,
        Predicate<JobId> cancelled,
        Quarantine quarantine,
        Predicate<TakenJob> inHand,
        Settings settings,
        Clock clock,
        RunMeters meters,
        Tracer tracer) {

    /** Whether this replica itself has an earlier record of the same job. */
    boolean smallerInHand(TakenJob taken) {
        return inHand.test(taken);
    }
}
