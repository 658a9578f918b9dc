package dev.penstock.ledger;

import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordStamp;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Submission;
import dev.penstock.ledger.row.Submissions;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.EventHeaders;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.utils.Bytes;

/** A ledger in memory. It reads the events that a test's producer wrote, and the records that the test names. */
public final class PlayedLedger extends Ledger {
    private final Supplier<List<ProducerRecord<byte[], byte[]>>> events;
    private final Map<JobId, JobRow> rows = new ConcurrentHashMap<>();
    private final AtomicInteger awayFor = new AtomicInteger(Integer.MAX_VALUE);
    private volatile boolean keepsOutcomes = true;
    private volatile boolean forgets;

    /** Creates a ledger that is away. */
    @SuppressWarnings("NullAway") // it has no database
    public PlayedLedger(Settings settings, ReplyTopic replies, Supplier<List<ProducerRecord<byte[], byte[]>>> events) {
        super(null, null, null, settings, replies, null, null, Clock.systemUTC(), new SimpleMeterRegistry());
        this.events = events;
    }

    /** The ledger answers, after so many refused reads. */
    public void answersAfter(int reads) {
        awayFor.set(reads);
    }

    /** Outcomes are too large for a row from now on: they are read one by one. */
    public void keepsOutcomesApart() {
        keepsOutcomes = false;
    }

    /** The retention of all jobs is over. */
    public void forgets() {
        forgets = true;
    }

    /** A job has a record. */
    public void submitted(PromptJob job, RecordStamp stamp, String bodyHash) {
        change(job.id(), row -> row.after(new JobRow.Change.Submitted(Submission.of(job, stamp, bodyHash), "")));
    }

    /** A job was deferred. */
    public void deferred(JobId id, Submissions.DeferredRecord deferred) {
        change(id, row -> row.after(new JobRow.Change.Deferred(deferred)));
    }

    private void change(JobId id, UnaryOperator<JobRow> change) {
        rows.merge(id, change.apply(JobRow.unknown(id)), (row, _) -> change.apply(row));
    }

    private void mustBeThere() throws LedgerDatabase.Unavailable {
        if (awayFor.get() > 0) {
            awayFor.getAndUpdate(left -> left == Integer.MAX_VALUE ? left : left - 1);
            throw new LedgerDatabase.Unavailable("the ledger is away", null);
        }
    }

    @Override
    public Found lookUp(JobId id) throws LedgerDatabase.Unavailable {
        mustBeThere();
        return now(id);
    }

    @Override
    public Optional<JobRow> glance(JobId id) {
        return awayFor.get() > 0 ? Optional.empty() : now(id).row();
    }

    @Override
    public String outcome(JobId id) throws LedgerDatabase.Unavailable {
        mustBeThere();
        JobRow.Ending ending =
                row(id).flatMap(row -> Optional.ofNullable(row.ending())).orElseThrow();
        return ending.event();
    }

    private Found now(JobId id) {
        return new Found(row(id).map(this::asKept), events.get().size());
    }

    private JobRow asKept(JobRow row) {
        JobRow kept = keepsOutcomes && !forgets ? row : row.withOutcome("");
        return forgets
                ? new JobRow(kept.id(), kept.submissions(), kept.cancelMillis(), kept.timeline(), kept.ending(), true)
                : kept;
    }

    private Optional<JobRow> row(JobId id) {
        JobRow row = rows.getOrDefault(id, JobRow.unknown(id));
        List<ProducerRecord<byte[], byte[]>> written = events.get();
        for (int offset = 0; offset < written.size(); offset++) {
            ProducerRecord<byte[], byte[]> event = written.get(offset);
            EventMark mark = EventHeaders.mark(event.headers()).orElseThrow();
            if (id.value().equals(EventHeaders.text(event.headers(), EventHeaders.JOB_ID))) {
                row = row.after(mark, offset, offset, Bytes.wrap(event.value()));
            }
        }
        return row.equals(JobRow.unknown(id)) ? Optional.empty() : Optional.of(row);
    }
}
