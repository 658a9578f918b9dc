package dev.penstock.ledger.janitor;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Retention;
import dev.penstock.ledger.projector.CatchUp;
import dev.penstock.ledger.projector.Projector;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.IntakeMode;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;

/**
 * Schedules the rounds of the janitor, the audit and the retention. Each replica does them for the jobs that it
 * projects.
 */
public final class Housekeeping implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(Housekeeping.class);
    private static final Duration JANITOR = Duration.ofSeconds(1);
    private static final Duration AUDIT = Duration.ofSeconds(15);
    private static final Duration RETENTION = Duration.ofSeconds(5);
    private static final int STEPS = 20;

    private final LedgerDatabase database;
    private final Projector projector;
    private final Settings settings;
    private final Clock clock;
    private final Janitor janitor;
    private final Audit audit;
    private final TopicPartition first;
    // an audit waits for the projection; no deadline waits for an audit
    private final ScheduledExecutorService timer = Executors.newScheduledThreadPool(
            2, Thread.ofPlatform().daemon().name("penstock-housekeeping-", 0).factory());

    public Housekeeping(
            LedgerDatabase database,
            CatchUp catchUp,
            Projector projector,
            KafkaClients kafka,
            Settings settings,
            IntakeMode mode,
            ReplyTopic replies,
            DeadLetters deadLetters,
            Clock clock,
            MeterRegistry meters) {
        this.database = database;
        this.projector = projector;
        this.settings = settings;
        this.clock = clock;
        OutcomePublisher outcomes = new OutcomePublisher(replies, projector, clock, meters);
        janitor = new Janitor(database, outcomes, clock);
        audit = new Audit(database, catchUp, outcomes, kafka, settings, mode, deadLetters, clock, meters);
        first = new TopicPartition(replies.name(), 0);
    }

    public void start() {
        every(JANITOR, "janitor", janitor::round);
        every(AUDIT, "audit", audit::round);
        every(RETENTION, "retention", this::forget);
    }

    /** One replica does it for all. */
    private void forget() throws LedgerDatabase.Unavailable {
        int steps = 0;
        while (projector.owned().contains(first)
                && steps++ < STEPS
                && Retention.step(database, clock.instant(), settings.ledger().retention())) {
            LOG.tracef("more to forget");
        }
    }

    private interface Round {
        void run() throws InterruptedException, LedgerDatabase.Unavailable;
    }

    private void every(Duration period, String name, Round round) {
        var _ = timer.scheduleWithFixedDelay(
                () -> {
                    try {
                        if (database.isThere()) {
                            round.run();
                        }
                    } catch (InterruptedException _) {
                        Thread.currentThread().interrupt();
                    } catch (LedgerDatabase.Unwritable e) {
                        LOG.warnf("the ledger's %s could not do its round: %s", name, e.why());
                    } catch (LedgerDatabase.Unavailable e) {
                        LOG.debugf("%s: %s", name, e.why());
                    } catch (RuntimeException | Error e) {
                        // an exception from a timer's task would end the timer
                        LOG.warnf("the ledger's %s could not do its round: %s", name, e);
                    }
                },
                period.toMillis(),
                period.toMillis(),
                TimeUnit.MILLISECONDS);
    }

    @Override
    public void close() {
        timer.shutdownNow();
    }
}
