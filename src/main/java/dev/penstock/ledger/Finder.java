package dev.penstock.ledger;

import dev.penstock.job.JobId;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Positions;
import dev.penstock.ledger.database.Queries;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.reply.ReplyTopic;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.common.TopicPartition;

/** Finds jobs by their ids. One query serves all callers that ask at the same time. */
final class Finder implements AutoCloseable {
    private static final int THREADS = 2;
    /** The maximum number of jobs in one query. The query also reads their small outcomes. */
    private static final int AT_ONCE = 64;

    private final LedgerDatabase database;
    private final ReplyTopic replies;
    private final LinkedBlockingQueue<Request> asked = new LinkedBlockingQueue<>();
    private final List<Thread> threads = new ArrayList<>();

    private record Request(JobId id, CompletableFuture<Ledger.Found> found) {}

    /** The rows of the jobs, and the positions of the reply partitions just before the rows were read. */
    private record Read(Map<TopicPartition, Long> positions, List<JobRow> rows) {}

    Finder(LedgerDatabase database, ReplyTopic replies) {
        this.database = database;
        this.replies = replies;
    }

    void start() {
        for (int i = 0; i < THREADS; i++) {
            threads.add(Thread.ofVirtual().name("ledger-finder-" + i).start(this::serve));
        }
    }

    /** Returns the current row of a job. */
    Ledger.Found find(JobId id, Duration atMost) throws LedgerDatabase.Unavailable, InterruptedException {
        database.mustBeThere();
        Request mine = new Request(id, new CompletableFuture<>());
        asked.add(mine);
        try {
            return mine.found().get(atMost.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            asked.remove(mine);
            throw new LedgerDatabase.Unavailable("the ledger does not answer in time", e);
        } catch (ExecutionException e) {
            throw new LedgerDatabase.Unavailable("the ledger cannot be read", e.getCause());
        }
    }

    private void serve() {
        try {
            while (true) {
                List<Request> batch = new ArrayList<>();
                batch.add(asked.take());
                asked.drainTo(batch, AT_ONCE - 1);
                try {
                    answer(batch);
                } catch (LedgerDatabase.Unavailable | RuntimeException | Error e) {
                    batch.forEach(each -> each.found().completeExceptionally(e));
                }
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    private void answer(List<Request> batch) throws LedgerDatabase.Unavailable, InterruptedException {
        List<JobId> ids = batch.stream().map(Request::id).distinct().toList();
        Read read = database.read(
                connection -> new Read(Positions.all(connection), Queries.findWithOutcome(connection, ids)));
        Map<JobId, JobRow> rows = new HashMap<>();
        read.rows().forEach(row -> rows.put(row.id(), row));
        for (Request each : batch) {
            TopicPartition partition = new TopicPartition(replies.name(), replies.partitionOf(each.id()));
            each.found()
                    .complete(new Ledger.Found(
                            Optional.ofNullable(rows.get(each.id())),
                            read.positions().getOrDefault(partition, 0L)));
        }
    }

    @Override
    public void close() {
        threads.forEach(Thread::interrupt);
    }
}
