package dev.penstock.ledger.janitor;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.RecordPlace;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.Queries;
import dev.penstock.ledger.projector.CatchUp;
import dev.penstock.ledger.projector.Origin;
import dev.penstock.ledger.projector.TopicPlaces;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Submission;
import dev.penstock.ledger.row.Submissions;
import dev.penstock.reply.DeadLetters;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Reason;
import dev.penstock.wire.record.IntakeMode;
import dev.penstock.wire.record.TraceHeader;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.jboss.logging.Logger;

/**
 * Finds records that the broker dropped because of retention, at the delivery limit, or because another client
 * acknowledged them.
 *
 * <p>The order of its steps makes the audit correct. First it reads the positions of the groups and the starts of the
 * partitions. Then it reads the ends of the reply topic and of the deferred topic. Then it waits until the projection
 * has passed those ends. Before a record is finished, its outcome, its refusal or its deferred record is on the broker.
 * So the ledger contains that event now, unless the topic dropped it before the ledger read it. Such a loss is a gap,
 * and the audit reports no job from before a gap.
 */
public final class Audit {
    private static final Logger LOG = Logger.getLogger(Audit.class);
    private static final Duration OLD = Duration.ofMinutes(1);
    private static final Duration ASK_WITHIN = Duration.ofSeconds(10);
    private static final Duration PROJECT_WITHIN = Duration.ofSeconds(30);
    private static final int AT_ONCE = 500;

    private final LedgerDatabase database;
    private final CatchUp catchUp;
    private final OutcomePublisher outcomes;
    private final KafkaClients kafka;
    private final Settings settings;
    private final IntakeMode mode;
    private final DeadLetters deadLetters;
    private final Clock clock;
    private final Counter lost;
    private final Counter rounds;

    Audit(
            LedgerDatabase database,
            CatchUp catchUp,
            OutcomePublisher outcomes,
            KafkaClients kafka,
            Settings settings,
            IntakeMode mode,
            DeadLetters deadLetters,
            Clock clock,
            MeterRegistry meters) {
        this.database = database;
        this.catchUp = catchUp;
        this.outcomes = outcomes;
        this.kafka = kafka;
        this.settings = settings;
        this.mode = mode;
        this.deadLetters = deadLetters;
        this.clock = clock;
        lost = meters.counter("penstock.lost");
        rounds = meters.counter("penstock.audit.rounds");
    }

    void round() throws InterruptedException, LedgerDatabase.Unavailable {
        Admin admin = kafka.admin();
        TopicPlaces places = TopicPlaces.of(admin, settings);
        List<TopicPartition> deferred = places.deferred(settings);
        Map<TopicPartition, Long> below =
                new HashMap<>(TopicPlaces.offsets(admin, places.jobs(), OffsetSpec.earliest()));
        TopicPlaces.groupStarts(admin, settings, mode, places.jobs())
                .forEach((partition, start) -> below.merge(partition, start, Math::max));
        below.putAll(TopicPlaces.offsets(admin, deferred, OffsetSpec.earliest()));
        TopicPlaces.committed(admin, settings.deferredGroup())
                .forEach((partition, offset) -> below.merge(partition, offset, Math::max));

        List<String> topics =
                List.of(settings.topics().replies(), settings.topics().deferred());
        try {
            if (!catchUp.await(catchUp.ends(topics, ASK_WITHIN), PROJECT_WITHIN)) {
                return;
            }
        } catch (TimeoutException e) {
            LOG.debugf("no audit now: %s", e.getMessage());
            return;
        }
        LOG.debugf("the groups and the logs stand at %s", below);
        Map<TopicPartition, Long> gaps = database.read(Positions::gaps);
        List<TopicPartition> partitions = new ArrayList<>(places.jobs());
        partitions.addAll(database.read(Origin::gonePartitions));
        for (TopicPartition partition : partitions) {
            // a recreated topic delivers no record of the old topic. A started job is skipped: a replica runs it, or
            // the janitor ends it
            boolean gone = Origin.isGone(partition.topic());
            long end = gone ? Long.MAX_VALUE : below.getOrDefault(partition, 0L);
            eachOpen(database, partition, end, (row, record) -> {
                if (isDropped(row, record, below)
                        && (!gone || row.timeline().startedRecord() == null)
                        && record.stamp().millis() > gaps.getOrDefault(outcomes.partitionOf(row), 0L)
                        && outcomes.isOurs(row)) {
                    publishLost(row, record);
                }
            });
        }
        rounds.increment();
    }

    /** Handles one open job. */
    public interface Lookup {
        void at(JobRow row, Submission record) throws InterruptedException, LedgerDatabase.Unavailable;
    }

    /**
     * Calls the lookup for each open job of a partition below an offset. It reads page by page, because deferred jobs
     * stay open and may fill more than one page.
     */
    public static void eachOpen(LedgerDatabase database, TopicPartition partition, long end, Lookup look)
            throws InterruptedException, LedgerDatabase.Unavailable {
        long seen = -1;
        List<JobRow> page;
        do {
            long after = seen;
            page = database.read(connection -> Queries.openBetween(connection, partition, after, end, AT_ONCE));
            for (JobRow row : page) {
                Submission record = row.submissions().chosen().orElseThrow();
                seen = record.stamp().place().offset();
                look.at(row, record);
            }
        } while (page.size() == AT_ONCE);
    }

    /**
     * Returns whether the broker will not deliver the record that the job depends on. This is the record in the last
     * {@code started}. If no run has started, it is the first valid record in the order of the duplicate rule. The
     * other records with this id are duplicates, and would wait for the job for ever. If the ledger does not keep all
     * records of the job, the broker must have dropped every one of them.
     */
    private boolean isDropped(JobRow row, Submission record, Map<TopicPartition, Long> below) {
        RecordPlace started = row.timeline().startedRecord();
        RecordPlace owner = started == null ? record.stamp().place() : started;
        Submissions submissions = row.submissions();
        boolean all = !submissions.leftOut().isEmpty() || submissions.deferred().size() >= Submissions.MOST;
        return record.stamp().millis() < clock.millis() - OLD.toMillis()
                && liesBelow(owner, below)
                && (!all || submissions.stamps().stream().allMatch(stamp -> liesBelow(stamp.place(), below)))
                && submissions.leftOut().entrySet().stream()
                        .allMatch(highest -> liesBelow(
                                new RecordPlace(
                                        highest.getKey().topic(),
                                        highest.getKey().partition(),
                                        highest.getValue()),
                                below))
                && submissions.deferred().stream()
                        .filter(each -> all || each.origin().equals(owner))
                        .allMatch(each -> liesBelow(each.stamp().place(), below));
    }

    private static boolean liesBelow(RecordPlace place, Map<TopicPartition, Long> below) {
        return Origin.isGone(place.topic())
                || place.offset() < below.getOrDefault(new TopicPartition(place.topic(), place.partition()), 0L);
    }

    private void publishLost(JobRow row, Submission record) throws InterruptedException, LedgerDatabase.Unavailable {
        RecordPlace place = record.stamp().place();
        String topic = Origin.nameOf(place.topic());
        Optional<ConsumerRecord<byte[], byte[]>> dropped =
                topic.equals(place.topic()) ? reread(place) : Optional.empty();
        if (dropped.isEmpty()) {
            dropped = database.read(connection -> Queries.request(connection, row.id(), record.bodyHash()))
                    .map(document -> new ConsumerRecord<>(
                            topic,
                            place.partition(),
                            place.offset(),
                            row.id().value().getBytes(StandardCharsets.UTF_8),
                            document.getBytes(StandardCharsets.UTF_8)));
        }
        JobFailure failure = JobFailure.of(
                JobFailure.Code.LOST,
                "the broker dropped record %s before the job had an outcome: %s. %s"
                        .formatted(
                                place,
                                topic.equals(place.topic())
                                        ? "by retention, at the delivery limit of group %s, or because another client acknowledged it"
                                                .formatted(settings.groups().of(topic))
                                        : "its topic was deleted and made again",
                                dropped.isPresent()
                                        ? "The record is in "
                                                + settings.topics().deadLetters() + ": send it again"
                                        : "The record is gone: send the job again"));
        try {
            if (dropped.isPresent()) {
                deadLetters
                        .write(dropped.get(), row.id(), failure, row.timeline().attempts())
                        .get();
            }
        } catch (ExecutionException e) {
            LOG.warnf("job=%s its lost record could not be dead-lettered, trying again: %s", row.id(), Reason.of(e));
            return;
        }
        lost.increment();
        LOG.errorf("job=%s record=%s lost: %s", row.id(), place, failure.message());
        Header trace = dropped.map(ConsumerRecord::headers)
                .map(headers -> headers.lastHeader(TraceHeader.NAME))
                .orElse(null);
        outcomes.publish(
                row,
                record,
                new JobEvent.Failed(failure, null, record.metadata()),
                trace == null ? null : trace.value());
    }

    /** Reads a record again; returns empty if the topic has dropped it. */
    private Optional<ConsumerRecord<byte[], byte[]>> reread(RecordPlace place) {
        TopicPartition partition = new TopicPartition(place.topic(), place.partition());
        Map<String, Object> properties = Map.of(
                ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                1,
                ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG,
                10_000,
                ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG,
                settings.maxRecord() + 65_536);
        try (KafkaConsumer<byte[], byte[]> reader = kafka.briefReader("penstock-audit", properties)) {
            reader.assign(List.of(partition));
            reader.seek(partition, place.offset());
            for (ConsumerRecord<byte[], byte[]> record : RecordGuard.of("audit").poll(reader, Duration.ofSeconds(5))) {
                if (record.offset() == place.offset()) {
                    return Optional.of(record);
                }
            }
            return Optional.empty();
        }
    }
}
