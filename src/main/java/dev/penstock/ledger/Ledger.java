package dev.penstock.ledger;

import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Queries;
import dev.penstock.ledger.database.Rows;
import dev.penstock.ledger.janitor.Housekeeping;
import dev.penstock.ledger.projector.BatchWriter;
import dev.penstock.ledger.projector.CatchUp;
import dev.penstock.ledger.projector.GroupPresence;
import dev.penstock.ledger.projector.Membership;
import dev.penstock.ledger.projector.Projector;
import dev.penstock.ledger.projector.TopicWatch;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.ledger.row.Projection;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.Settings;
import dev.penstock.wire.record.IntakeMode;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The state and the outcome of each job, as far as the topics have been projected. A run never waits for it for long.
 */
@Singleton
public class Ledger {
    private static final Logger LOG = Logger.getLogger(Ledger.class);
    private static final Duration RETRY = Duration.ofSeconds(2);
    private static final Duration CATCH_UP_WITHIN = Duration.ofSeconds(2);
    private static final Duration FIND_WITHIN = Duration.ofSeconds(2);
    private static final Duration GLANCE_WITHIN = Duration.ofMillis(250);
    private static final int OUTCOMES_AT_ONCE = 2;
    private static final Duration PACE_OVER = Duration.ofMinutes(1);

    private final LedgerDatabase database;
    private final CatchUp catchUp;
    private final KafkaClients kafka;
    private final Settings settings;
    private final ReplyTopic replies;
    private final DeadLetters deadLetters;
    private final Clock clock;
    private final MeterRegistry meters;
    private final Finder finder;
    private final Semaphore outcomes = new Semaphore(OUTCOMES_AT_ONCE);
    private final List<String> jobTopics;
    private volatile @Nullable Projector projector;
    private volatile @Nullable BatchWriter writer;
    private volatile @Nullable Housekeeping housekeeping;
    private volatile @Nullable GroupPresence attendance;
    /** The own fixed name in the group; empty: none. */
    private volatile String instance = "";

    public Ledger(
            LedgerDatabase database,
            CatchUp catchUp,
            KafkaClients kafka,
            Settings settings,
            ReplyTopic replies,
            DeadLetters deadLetters,
            Clock clock,
            MeterRegistry meters) {
        this.database = database;
        this.catchUp = catchUp;
        this.kafka = kafka;
        this.settings = settings;
        this.replies = replies;
        this.deadLetters = deadLetters;
        this.clock = clock;
        this.meters = meters;
        finder = new Finder(database, replies);
        jobTopics =
                settings.intake().topics().stream().map(Settings.JobTopic::name).toList();
    }

    /**
     * Begins to project; the topics exist.
     *
     * @param topicIds the id of each job topic; changed when a topic is made again
     * @param mode how jobs are taken
     * @throws LedgerDatabase.Unusable the message has the way out
     */
    public void start(Map<String, UUID> topicIds, IntakeMode mode)
            throws InterruptedException, LedgerDatabase.Unusable {
        if (database.kind() == Settings.LedgerKind.NONE) {
            GroupPresence attending = new GroupPresence(kafka, settings);
            attending.start();
            attendance = attending;
            return;
        }
        instance = database.open();
        TopicWatch topics = new TopicWatch(database, kafka, settings, topicIds, clock);
        try {
            if (database.kind() == Settings.LedgerKind.SQLITE) {
                awaitAlone();
            }
            database.migrate();
            awaitOrigin(topics);
        } catch (LedgerDatabase.Unavailable e) {
            LOG.warnf("%s, and will be asked again: %s", e.getMessage(), e.why());
        }
        BatchWriter writing =
                new BatchWriter(database, new Projection(settings, topicIds), replies::partitionOf, clock, meters);
        writer = writing;
        Projector projecting = new Projector(database, kafka, settings, writing, topics, clock, mode, instance);
        projecting.start();
        projector = projecting;
        Gauge.builder("penstock.ledger.lag.seconds", projecting, running -> running.behindMillis() / 1000.0)
                .register(meters);
        Housekeeping housekeeper = new Housekeeping(
                database, catchUp, projecting, kafka, settings, mode, replies, deadLetters, clock, meters);
        housekeeper.start();
        housekeeping = housekeeper;
    }

    private void awaitAlone() throws InterruptedException, LedgerDatabase.Unusable {
        while (true) {
            try {
                Membership.awaitAlone(kafka.admin(), settings.groups(), instance);
                return;
            } catch (KafkaException e) {
                LOG.warnf("the ledger cannot begin yet: %s", e.getMessage());
                TimeUnit.NANOSECONDS.sleep(RETRY.toNanos());
            }
        }
    }

    /** Before the first job is taken: otherwise the contents of another cluster's ledger would count. */
    private static void awaitOrigin(TopicWatch topics)
            throws InterruptedException, LedgerDatabase.Unusable, LedgerDatabase.Unavailable {
        while (true) {
            try {
                topics.look();
                return;
            } catch (KafkaException e) {
                LOG.warnf("the ledger cannot begin yet: %s", e.getMessage());
                TimeUnit.NANOSECONDS.sleep(RETRY.toNanos());
            }
        }
    }

    public void stop() {
        Housekeeping housekeeper = housekeeping;
        if (housekeeper != null) {
            housekeeper.close();
        }
        Projector projecting = projector;
        if (projecting != null) {
            projecting.close();
        }
        GroupPresence attending = attendance;
        if (attending != null) {
            attending.close();
        }
        finder.close();
    }

    /** Its kind and its state. */
    public String standing() {
        String kind = database.kind().wireName();
        if (database.kind() == Settings.LedgerKind.NONE) {
            return kind;
        }
        Projector projecting = projector;
        long behind = projecting == null ? 0 : projecting.behindMillis();
        return database.isThere() ? "%s, %.1f s behind the topics".formatted(kind, behind / 1000.0) : kind + " is away";
    }

    /**
     * The live replicas, also those without a ledger.
     *
     * @param all the member ids of the group
     * @param own the id of this replica; where it has not joined yet it is not among them
     */
    public record Members(List<String> all, String own) {}

    /** Asks the broker; a dead replica is gone after {@link Projector#SESSION_TIMEOUT}. */
    public Members members(Admin admin) throws ExecutionException, InterruptedException {
        List<MemberDescription> members = Membership.all(admin, settings.groups());
        Projector projecting = projector;
        GroupPresence attending = attendance;
        String own = projecting != null ? projecting.member() : attending != null ? attending.member() : "";
        // a replica that died under the same name has left its place to this one
        String before = members.stream()
                .filter(member -> !instance.isEmpty()
                        && member.groupInstanceId().orElse("").equals(instance))
                .map(MemberDescription::consumerId)
                .findFirst()
                .orElse(own);
        return new Members(members.stream().map(MemberDescription::consumerId).toList(), before);
    }

    /** The warning for the operator; empty: there is none. */
    public Optional<String> warning() {
        BatchWriter writing = writer;
        return writing == null ? Optional.empty() : writing.warning();
    }

    /**
     * A job, and the offset from which its further events count.
     *
     * @param row empty: no record, event or command of it is known; it has its outcome where that is small
     * @param replyOffset every event of the job that lies below it is in the row
     */
    public record Found(Optional<JobRow> row, long replyOffset) {
        /** The job, where a record of it was seen and is not forgotten. */
        public Optional<JobState> state() {
            return row.flatMap(JobRow::state);
        }

        /** Whether there is anything to show: the job, or the refusal of its record. */
        public boolean isThere() {
            return row.filter(found ->
                            found.state().isPresent() || found.rejected().isPresent())
                    .isPresent();
        }
    }

    /**
     * Finds a job that any replica accepted before this call. Where it is not there yet, the projection catches up
     * first.
     */
    public Found find(JobId id) throws LedgerDatabase.Unavailable, InterruptedException {
        Found found = findNow(id);
        if (found.state().isPresent()) {
            return found;
        }
        // its refusal too: an id may have no other record
        List<String> topics = new ArrayList<>(jobTopics);
        topics.add(replies.name());
        int partition = replies.partitionOf(id);
        awaitPast(topics, asked -> jobTopics.contains(asked.topic()) || asked.partition() == partition);
        return findNow(id);
    }

    /** The jobs with these ids that any replica accepted before this call; without their answers. */
    public List<JobRow> findAll(Collection<JobId> ids) throws LedgerDatabase.Unavailable, InterruptedException {
        List<JobRow> rows = database.read(connection -> Rows.find(connection, ids));
        boolean all =
                rows.stream().filter(Ledger::isKnown).map(JobRow::id).distinct().count()
                        == ids.stream().distinct().count();
        if (!all) {
            awaitPast(jobTopics, _ -> true);
            rows = database.read(connection -> Rows.find(connection, ids));
        }
        return rows.stream().filter(Ledger::isKnown).toList();
    }

    private static boolean isKnown(JobRow row) {
        return row.forgotten() || row.state().isPresent();
    }

    /** The row of a job with at least all events from before this call; for a job that may have run before. */
    public Found lookUp(JobId id) throws LedgerDatabase.Unavailable, InterruptedException {
        database.mustBeThere();
        int partition = replies.partitionOf(id);
        awaitPast(List.of(replies.name()), asked -> asked.partition() == partition);
        return findNow(id);
    }

    private void awaitPast(Collection<String> topics, Predicate<TopicPartition> partitions)
            throws LedgerDatabase.Unavailable, InterruptedException {
        long until = System.nanoTime() + CATCH_UP_WITHIN.toNanos();
        try {
            Map<TopicPartition, CatchUp.End> ends = new HashMap<>(catchUp.ends(topics, CATCH_UP_WITHIN));
            ends.keySet().removeIf(partitions.negate());
            if (catchUp.await(ends, Duration.ofNanos(until - System.nanoTime()))) {
                return;
            }
        } catch (TimeoutException e) {
            throw new LedgerDatabase.Unavailable(String.valueOf(e.getMessage()), e);
        }
        throw new LedgerDatabase.Unavailable("the ledger is behind the topics", null);
    }

    /** What the ledger has of a job now. */
    public Found findNow(JobId id) throws LedgerDatabase.Unavailable, InterruptedException {
        return finder.find(id, FIND_WITHIN);
    }

    /** The bytes of a job's outcome; 0 where none is kept. */
    public long outcomeBytes(JobId id) throws LedgerDatabase.Unavailable, InterruptedException {
        return database.read(connection -> Queries.outcomeBytes(connection, id));
    }

    /** A job's outcome as JSON, however large; empty where none is kept. Few are read at once. */
    public String outcome(JobId id) throws LedgerDatabase.Unavailable, InterruptedException {
        outcomes.acquire();
        try {
            return database.read(connection -> Queries.outcome(connection, id));
        } finally {
            outcomes.release();
        }
    }

    /** The row of a job at this moment; empty where the ledger does not answer at once. */
    public Optional<JobRow> glance(JobId id) throws InterruptedException {
        try {
            return database.isThere() ? finder.find(id, GLANCE_WITHIN).row() : Optional.empty();
        } catch (LedgerDatabase.Unavailable _) {
            return Optional.empty();
        }
    }

    /** A page of jobs, newest first; without their answers. */
    public Queries.Page list(Queries.Filter filter, Queries.@Nullable Cursor after, int limit)
            throws LedgerDatabase.Unavailable, InterruptedException {
        return database.read(connection -> Queries.list(connection, filter, after, limit));
    }

    /**
     * A queued job's place.
     *
     * @param ahead how many go before it; null where there are very many
     * @param estimatedWait at the pace of the last minute; null where no job has ended in it
     */
    public record Place(@Nullable Integer ahead, @Nullable Duration estimatedWait) {}

    /** Empty: it does not wait. */
    public Optional<Place> place(JobState job) throws LedgerDatabase.Unavailable, InterruptedException {
        if (job.status() != JobState.Status.QUEUED) {
            return Optional.empty();
        }
        long since = clock.instant().minus(PACE_OVER).toEpochMilli();
        return Optional.of(database.read(connection -> {
            int ahead = Queries.placeInLine(
                    connection, job.priority(), job.createdAt().toEpochMilli(), job.id());
            int done = Queries.finishedSince(connection, since);
            return new Place(
                    ahead < Queries.FARTHEST_PLACE ? (Integer) ahead : null,
                    done == 0 || ahead >= Queries.FARTHEST_PLACE
                            ? null
                            : PACE_OVER.multipliedBy(ahead).dividedBy(done));
        }));
    }

    /** The request of a job, for as long as it is kept. */
    public Optional<String> request(JobId id, String bodyHash) throws LedgerDatabase.Unavailable, InterruptedException {
        return database.read(connection -> Queries.request(connection, id, bodyHash));
    }
}
