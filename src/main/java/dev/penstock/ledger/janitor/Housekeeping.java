package dev.penstock.ledger.janitor;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Retention;
import dev.penstock.ledger.projector.CatchUp;
import dev.penstock.ledger.projector.Projector;
import dev.penstock.reply.DeadLetters;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.record.IntakeMode;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;

/**
 * Schedules the rounds of the janitor, the audit and the retention. The janitor and the audit of a replica end only
 * jobs that this replica projects.
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
    private final Audit audit;
    private final TopicPartition first;
    /** Each task has its own thread. So the janitor does not wait for the audit, which waits for the projection. */
    private final List<Task> tasks;

    public Housekeeping(
            LedgerDatabase database,
            CatchUp catchUp,
            Projector projector,
            KafkaClients kafka,
            Settings settings,
            IntakeMode mode,
            OutcomePublisher outcomes,
            DeadLetters deadLetters,
            Clock clock,
            MeterRegistry meters) {
        this.database = database;
        this.projector = projector;
        this.settings = settings;
        this.clock = clock;
        Janitor janitor = new Janitor(database, outcomes, clock);
        audit = new Audit(database, catchUp, outcomes, kafka, settings, mode, deadLetters, clock, meters);
        first = new TopicPartition(settings.topics().replies(), 0);
        tasks = List.of(
                new Task("janitor", JANITOR, janitor::round),
                new Task("audit", AUDIT, audit::round),
                new Task("retention", RETENTION, this::forget));
    }

    public void start() {
        tasks.forEach(task -> task.thread.start());
    }

    /** Deletes old jobs. Only the replica that projects the first reply partition does it. */
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

    /** Repeats one round on its own thread. */
    private final class Task {
        private final String name;
        private final Duration period;
        private final Round round;
        private final SupervisedThread thread;

        Task(String name, Duration period, Round round) {
            this.name = name;
            this.period = period;
            this.round = round;
            thread = new SupervisedThread("penstock-" + name, this::run);
        }

        private void run() throws InterruptedException {
            while (thread.pause(period)) {
                try {
                    if (database.isThere()) {
                        round.run();
                    }
                } catch (LedgerDatabase.Unwritable e) {
                    LOG.warnf("the ledger's %s could not do its round: %s", name, e.why());
                } catch (LedgerDatabase.Unavailable e) {
                    LOG.debugf("%s: %s", name, e.why());
                } catch (KafkaException e) {
                    LOG.warnf("the ledger's %s could not do its round: %s", name, e);
                }
            }
        }
    }

    @Override
    public void close() {
        tasks.forEach(task -> task.thread.interrupt());
    }
}
