package dev.penstock.ledger;

import dev.penstock.job.JobId;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.Queries;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.thread.RequestBatcher;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.common.TopicPartition;

/** Finds jobs by their ids. One query serves all callers that ask at the same time. */
final class Finder implements AutoCloseable {
    /** The maximum number of jobs in one query. The query also reads their small outcomes. */
    private static final int PER_QUERY = 64;

    /** The maximum number of queries at the same time. */
    private static final int AT_ONCE = 2;

    private final LedgerDatabase database;
    private final ReplyTopic replies;
    /** Runs the batches. A thread answers batches until no request waits; a later request starts a new thread. */
    private final ExecutorService threads;

    private final RequestBatcher<JobId, Ledger.Found> requests;

    /** The rows of the jobs, and the positions of the reply partitions just before the rows were read. */
    private record Read(Map<TopicPartition, Long> positions, List<JobRow> rows) {}

    Finder(LedgerDatabase database, ReplyTopic replies) {
        this(database, replies, Thread.ofVirtual().name("ledger-finder-", 0).factory());
    }

    Finder(LedgerDatabase database, ReplyTopic replies, ThreadFactory factory) {
        threads = Executors.newThreadPerTaskExecutor(factory);
        this.database = database;
        this.replies = replies;
        requests = new RequestBatcher<>(threads, AT_ONCE, PER_QUERY, this::answer);
    }

    /** Returns the current row of a job. */
    Ledger.Found find(JobId id, Duration atMost) throws LedgerDatabase.Unavailable, InterruptedException {
        database.mustBeThere();
        try {
            return requests.ask(id, atMost);
        } catch (TimeoutException e) {
            throw new LedgerDatabase.Unavailable("the ledger does not answer in time", e);
        } catch (ExecutionException e) {
            throw new LedgerDatabase.Unavailable("the ledger cannot be read", e.getCause());
        }
    }

    private List<Ledger.Found> answer(List<JobId> asked) throws LedgerDatabase.Unavailable, InterruptedException {
        List<JobId> ids = asked.stream().distinct().toList();
        Read read = database.read(
                connection -> new Read(Positions.all(connection), Queries.findWithOutcome(connection, ids)));
        Map<JobId, JobRow> rows = new HashMap<>();
        read.rows().forEach(row -> rows.put(row.id(), row));
        return asked.stream()
                .map(id -> {
                    TopicPartition partition = new TopicPartition(replies.name(), replies.partitionOf(id));
                    return new Ledger.Found(
                            Optional.ofNullable(rows.get(id)), read.positions().getOrDefault(partition, 0L));
                })
                .toList();
    }

    @Override
    public void close() {
        threads.shutdownNow();
    }
}
