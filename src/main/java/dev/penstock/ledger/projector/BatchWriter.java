package dev.penstock.ledger.projector;

import dev.penstock.job.JobId;
import dev.penstock.job.RecordPlace;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.Rows;
import dev.penstock.ledger.database.SqlFailure;
import dev.penstock.ledger.row.Projection;
import io.micrometer.core.instrument.MeterRegistry;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToIntFunction;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Writes a batch of records into the ledger, in one transaction with the positions. If the database refuses a record,
 * the writer skips, logs and counts it, and the health check shows it. So the record blocks no other record. Only one
 * thread may use a writer, except for {@link #warning()}.
 */
public final class BatchWriter {
    private static final Logger LOG = Logger.getLogger(BatchWriter.class);
    /** The duration of the warning about a skipped record. */
    private static final Duration WARNED_FOR = Duration.ofHours(1);
    /** The maximum number of skipped records in one batch that get their own log line. */
    private static final int MOST_LINES = 5;

    private final LedgerDatabase database;
    private final Projection projection;
    private final ToIntFunction<JobId> replyPartition;
    private final Clock clock;
    private final MeterRegistry meters;
    private volatile @Nullable Last last;

    /** The last skipped record, and the number of skipped records since the start. */
    private record Last(SetApart record, long count, Instant at) {}

    /** @param why the reason; it contains nothing of the record */
    private record SetApart(RecordPlace place, String why) {}

    public BatchWriter(
            LedgerDatabase database,
            Projection projection,
            ToIntFunction<JobId> replyPartition,
            Clock clock,
            MeterRegistry meters) {
        this.database = database;
        this.projection = projection;
        this.replyPartition = replyPartition;
        this.clock = clock;
        this.meters = meters;
    }

    /**
     * Writes records, and moves the positions of their partitions.
     *
     * @param from the position of each partition before the records
     * @param ends the position of each partition after the records
     * @return false if another projector has moved a position; then nothing is written
     */
    boolean write(
            List<ConsumerRecord<byte[], byte[]>> records,
            Map<TopicPartition, Long> from,
            Map<TopicPartition, Long> ends)
            throws LedgerDatabase.Unavailable {
        try {
            return database.write(connection -> {
                if (!advance(connection, from, ends)) {
                    return false;
                }
                apply(connection, records);
                return true;
            });
        } catch (LedgerDatabase.Unwritable | RuntimeException e) {
            LOG.debugf("a batch of %d records is written piece by piece: %s", records.size(), SqlFailure.words(e));
        }
        List<SetApart> apart = new ArrayList<>();
        boolean written = database.write(connection -> {
            // the transaction may run more than once
            apart.clear();
            if (!advance(connection, from, ends)) {
                return false;
            }
            applyPieces(connection, records, apart);
            return true;
        });
        if (written) {
            report(apart);
        }
        return written;
    }

    private static boolean advance(
            Connection connection, Map<TopicPartition, Long> from, Map<TopicPartition, Long> ends) throws SQLException {
        for (Map.Entry<TopicPartition, Long> end : ends.entrySet()) {
            if (!Positions.advance(connection, end.getKey(), from.getOrDefault(end.getKey(), 0L), end.getValue())) {
                connection.rollback();
                return false;
            }
        }
        return true;
    }

    private void apply(Connection connection, List<ConsumerRecord<byte[], byte[]>> records) throws SQLException {
        Rows.apply(connection, database.kind(), projection.changes(records), replyPartition);
    }

    /** Halves a refused batch until one record is left. The rows do not depend on how a batch is split. */
    private void applyPieces(Connection connection, List<ConsumerRecord<byte[], byte[]>> records, List<SetApart> apart)
            throws SQLException {
        if (records.isEmpty()) {
            return;
        }
        Savepoint before = connection.setSavepoint();
        try {
            apply(connection, records);
            connection.releaseSavepoint(before);
            return;
        } catch (SQLException e) {
            if (SqlFailure.of(e).kind() != SqlFailure.Kind.DATA) {
                throw e;
            }
            setApart(records, e, apart);
        } catch (RuntimeException e) {
            setApart(records, e, apart);
        }
        connection.rollback(before);
        if (records.size() > 1) {
            int half = records.size() / 2;
            applyPieces(connection, records.subList(0, half), apart);
            applyPieces(connection, records.subList(half, records.size()), apart);
        }
    }

    private static void setApart(List<ConsumerRecord<byte[], byte[]>> records, Exception why, List<SetApart> apart) {
        if (records.size() == 1) {
            ConsumerRecord<byte[], byte[]> record = records.getFirst();
            RecordPlace place = new RecordPlace(record.topic(), record.partition(), record.offset());
            // only the class of an unexpected exception, because its message may quote the record
            String words = why instanceof SQLException refused
                    ? SqlFailure.of(refused).words()
                    : why.getClass().getSimpleName();
            apart.add(new SetApart(place, words));
        }
    }

    private void report(List<SetApart> apart) {
        for (SetApart record : apart) {
            meters.counter("penstock.ledger.set.apart", "topic", record.place().topic())
                    .increment();
        }
        apart.stream()
                .limit(MOST_LINES)
                .forEach(record -> LOG.warnf(
                        "record=%s the ledger cannot hold it and goes on without it: %s. Its job runs; polling and lists do not show its content",
                        record.place(), record.why()));
        if (apart.size() > MOST_LINES) {
            LOG.warnf("the ledger cannot hold %d more records of the same batch", apart.size() - MOST_LINES);
        }
        if (!apart.isEmpty()) {
            Last before = last;
            long count = apart.size() + (before == null ? 0 : before.count());
            last = new Last(apart.getLast(), count, clock.instant());
        }
    }

    /** Returns a warning for an hour after the last skipped record, else empty. */
    public Optional<String> warning() {
        Last known = last;
        return known == null || known.at().plus(WARNED_FOR).isBefore(clock.instant())
                ? Optional.empty()
                : Optional.of("%d records could not be written since the start, the last one, %s, at %s: %s"
                        .formatted(
                                known.count(),
                                known.record().place(),
                                known.at(),
                                known.record().why()));
    }
}
