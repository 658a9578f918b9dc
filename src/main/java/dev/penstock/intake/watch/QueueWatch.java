package dev.penstock.intake.watch;

import dev.penstock.dispatch.Dispatcher;
import dev.penstock.intake.record.PartitionsInFlight;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.settings.start.BrokerWatch;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import dev.penstock.wire.record.IntakeMode;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.util.Collection;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Checks the state of the queue every second, while the broker answers. */
public final class QueueWatch implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(QueueWatch.class);
    private static final Duration PERIOD = Duration.ofSeconds(1);
    private static final Duration PATIENCE = Duration.ofSeconds(4);

    private final Settings settings;
    private final BrokerWatch broker;
    private final Dispatcher dispatcher;
    private final Supplier<Admin> admins;
    private final Warnings warnings = new Warnings();
    private final Backlog backlog;
    private final LockWindows windows;
    private final ShareGroupLag shareGroups;
    private final ShareAssignment assignment;
    private final TopicCompression compression;
    private final LimitSharing limits;
    /** Only the watch's thread creates and uses this client. */
    private @Nullable Admin admin;
    /** Set before the thread starts. */
    private IntakeMode mode = IntakeMode.SHARE;

    private final SupervisedThread thread = new SupervisedThread("penstock-queue-watch", this::watch, this::closeAdmin);

    public QueueWatch(
            KafkaClients kafka,
            Settings settings,
            Clock clock,
            MeterRegistry meters,
            BrokerWatch broker,
            Dispatcher dispatcher,
            PartitionsInFlight inFlight) {
        this(
                kafka,
                settings,
                clock,
                meters,
                broker,
                dispatcher,
                inFlight,
                () -> kafka.admin("penstock-queue-watch", PATIENCE));
    }

    /** @param admins makes the client that asks the broker */
    QueueWatch(
            KafkaClients kafka,
            Settings settings,
            Clock clock,
            MeterRegistry meters,
            BrokerWatch broker,
            Dispatcher dispatcher,
            PartitionsInFlight inFlight,
            Supplier<Admin> admins) {
        this.settings = settings;
        this.broker = broker;
        this.dispatcher = dispatcher;
        this.admins = admins;
        backlog = new Backlog(settings, meters);
        windows = new LockWindows(kafka, settings, inFlight, warnings, meters);
        shareGroups = new ShareGroupLag(settings, inFlight, backlog, windows);
        assignment = new ShareAssignment(settings, clock, warnings);
        compression = new TopicCompression(kafka, settings, clock, warnings, meters);
        limits = new LimitSharing(settings, warnings);
    }

    /**
     * @param windowLimits the limit of the window for each topic with a share group; empty in classic mode, which has
     *     no window
     * @param partitions the partitions of the job topics
     */
    public void start(IntakeMode mode, Map<String, Integer> windowLimits, Collection<TopicPartition> partitions) {
        windows.start(windowLimits, partitions);
        shareGroups.start(partitions);
        assignment.waitAnew();
        this.mode = mode;
        thread.start();
    }

    /** Returns the number of unfinished records of each topic, as the broker reported it last. */
    public Map<String, Long> lag() {
        return backlog.all();
    }

    /** Returns, for each topic with a share group, the used part of its fullest window; 1 is full. */
    public Map<String, Double> windowUsed() {
        return windows.fullest();
    }

    /** Returns the warnings for the operator, by their subject. */
    public Map<String, String> warnings() {
        return warnings.all();
    }

    /** Logs a warning, and keeps it for the health checks. */
    public void warn(String about, String words) {
        warnings.warn(about, words);
    }

    private void watch() throws InterruptedException {
        do {
            dispatcher.logWaits();
            try {
                check(mode);
            } catch (KafkaException e) {
                // the client could not be made, for example because a host name does not resolve for a moment
                LOG.warnf("the queue could not be checked, trying again: %s", Reason.of(e));
            }
        } while (thread.pause(PERIOD));
    }

    /** Makes all checks once. If a check fails, the other checks are made anyway. */
    void check(IntakeMode mode) throws InterruptedException {
        Admin asked = admin();
        asking(() -> limits.check(() -> dispatcher.shareLimits(asked)));
        asking(() -> compression.check(asked));
        for (Settings.JobTopic topic : settings.intake().topics()) {
            switch (mode) {
                case SHARE -> asking(() -> shareGroups.check(asked, topic));
                case CLASSIC -> asking(() -> ofConsumerGroup(asked, topic.name(), settings.group(topic)));
            }
        }
        if (mode == IntakeMode.SHARE && settings.intake().enabled()) {
            asking(() -> assignment.check(
                    asked, settings.intake().topics().stream().allMatch(topic -> dispatcher.isOpen(topic.name()))));
        }
        asking(() -> ofConsumerGroup(asked, settings.topics().deferred(), settings.deferredGroup()));
    }

    private Admin admin() {
        Admin known = admin;
        if (known == null) {
            known = admins.get();
            admin = known;
        }
        return known;
    }

    private void ofConsumerGroup(Admin asked, String topic, String group)
            throws ExecutionException, InterruptedException {
        backlog.set(topic, GroupLag.ofConsumerGroup(asked, group));
    }

    private interface Check {
        void make() throws ExecutionException, InterruptedException;
    }

    private void asking(Check check) throws InterruptedException {
        if (broker.away() != null) {
            return;
        }
        try {
            check.make();
        } catch (ExecutionException | RuntimeException e) {
            // for example, a group does not exist yet, or a coordinator or a leader is being elected
            LOG.debugf("the queue could not be checked: %s", Reason.of(e));
        }
    }

    private void closeAdmin() {
        if (admin != null) {
            admin.close(Duration.ZERO);
        }
    }

    @Override
    public void close() {
        thread.stop();
    }
}
