package dev.penstock.intake.group;

import dev.penstock.dispatch.Dispatcher;
import dev.penstock.dispatch.Waits;
import dev.penstock.intake.record.JobRecords;
import dev.penstock.intake.record.LoopTime;
import dev.penstock.intake.record.OriginRecord;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.intake.record.Source;
import dev.penstock.job.Waiting;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/**
 * Takes jobs by a consumer group: deferred jobs when they are due, and in classic mode the jobs of a job topic.
 */
public final class GroupIntake implements Source {
    private static final Duration CLOSE_WITHIN = Duration.ofSeconds(8);
    private static final Duration SESSION_TIMEOUT = Duration.ofSeconds(10);
    private static final Duration HEARTBEAT = Duration.ofSeconds(1);

    private final Settings settings;
    private final KafkaClients kafka;
    private final GroupConsumerLoop loop;
    private final SupervisedThread thread;

    /** What every consumer of this class needs. */
    public record Parts(
            Settings settings,
            KafkaClients kafka,
            JobRecords records,
            Dispatcher dispatcher,
            Waits waits,
            RecordDelivery.Writers writers,
            Clock clock) {}

    private GroupIntake(
            Parts parts,
            String topic,
            String group,
            Function<ConsumerRecord<byte[], byte[]>, Optional<OriginRecord>> origins,
            boolean alwaysMayHaveRun,
            GroupPartition.Early early) {
        settings = parts.settings();
        kafka = parts.kafka();
        loop = new GroupConsumerLoop(new GroupConsumerLoop.Setup(
                topic,
                () -> consumer(group),
                origins,
                alwaysMayHaveRun,
                2 * settings.intake().slots(),
                SESSION_TIMEOUT,
                () -> parts.records().isOpen(topic),
                early,
                parts.records()::start,
                delivery -> parts.dispatcher().lost(delivery.origin().place(), delivery.place()),
                delivery -> parts.dispatcher().leave(delivery.origin().place(), delivery.place()),
                parts.writers(),
                parts.clock(),
                LoopTime.SYSTEM));
        thread = new SupervisedThread("penstock-" + topic, loop::run);
    }

    /**
     * Returns the intake of the deferred jobs. Within a partition, the deferred records are in the order of their due
     * times.
     */
    public static GroupIntake ofDeferred(Parts parts) {
        Settings.Topics topics = parts.settings().topics();
        return new GroupIntake(
                parts,
                topics.deferred(),
                parts.settings().deferredGroup(),
                parts.writers().deferred()::read,
                true,
                new Resumed(parts.waits()));
    }

    /** Returns the intake of one job topic, in classic mode. */
    public static GroupIntake ofJobs(Parts parts, Settings.JobTopic topic) {
        return new GroupIntake(
                parts,
                topic.name(),
                parts.settings().group(topic),
                record -> Optional.of(OriginRecord.itself(record)),
                false,
                GroupPartition.Early.NEVER);
    }

    /**
     * Lets the deferred record of a job run early if the job waits for a node that is down or paused, and such a node
     * takes jobs again, or if its topic is resumed.
     */
    private record Resumed(Waits waits) implements GroupPartition.Early {
        @Override
        public boolean isDue(OriginRecord origin) {
            Waiting.Code why = origin.why();
            return why != null
                    && origin.routeKey() != null
                    && waits.mayGoOn(why, new Waits.Subject(origin.place().topic(), null, origin.routeKey()));
        }

        @Override
        public long version() {
            return waits.version();
        }
    }

    @Override
    public void start() {
        thread.start();
    }

    private KafkaConsumer<byte[], byte[]> consumer(String group) {
        return kafka.reader(
                group,
                Map.of(
                        ConsumerConfig.GROUP_ID_CONFIG,
                        group,
                        ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG,
                        CooperativeStickyAssignor.class.getName(),
                        ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG,
                        (int) SESSION_TIMEOUT.toMillis(),
                        ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG,
                        (int) HEARTBEAT.toMillis(),
                        ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                        settings.intake().slots(),
                        ConsumerConfig.FETCH_MAX_BYTES_CONFIG,
                        settings.intake().fetchBytes()));
    }

    @Override
    public void stop() {
        loop.stop();
    }

    @Override
    public void close() {
        thread.stop();
        loop.close();
    }

    @Override
    public void awaitClosed() throws InterruptedException {
        thread.join(CLOSE_WITHIN);
    }
}
