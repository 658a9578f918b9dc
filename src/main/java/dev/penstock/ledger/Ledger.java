package dev.penstock.ledger;

import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.ledger.database.Queries;
import dev.penstock.ledger.database.Rows;
import dev.penstock.ledger.janitor.Housekeeping;
import dev.penstock.ledger.janitor.OutcomePublisher;
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
import dev.penstock.reply.WebhookTopic;
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
 * The state and the outcome of each job, as far as the topics have been projected. A run waits for the ledger for a few
 * seconds at most.
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
    private final WebhookTopic webhooks;
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
    /** The fixed name of this replica in the group; empty if it has none. */
    private volatile String instance = "";

    public Ledger(
            LedgerDatabase database,
            CatchUp catchUp,
            KafkaClients kafka,
            Settings settings,
            ReplyTopic replies,
            WebhookTopic webhooks,
            DeadLetters deadLetters,
            Clock clock,
            MeterRegistry meters) {
        this.database = database;
        this.catchUp = catchUp;
        this.kafka = kafka;
        this.settings = settings;
        this.replies = replies;
        this.webhooks = webhooks;
        this.deadLetters = deadLetters;
        this.clock = clock;
        this.meters = meters;
        finder = new Finder(database, replies);
        jobTopics =
                settings.intake().topics().stream().map(Settings.JobTopic::name).toList();
    }

    /**
     * Begins to project. The topics must exist.
     *
     * @param topicIds the id of each job topic; an id changes when its topic is recreated
     * @param mode the intake mode
     * @throws LedgerDatabase.Unusable the operator must act; the message contains the remedy
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
                database,
                catchUp,
                projecting,
                kafka,
                settings,
                mode,
                new OutcomePublisher(replies, webhooks, projecting, clock, meters),
                deadLetters,
                clock,
                meters);
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

    /**
     * Checks that the ledger belongs to this cluster, before the first job is taken. Otherwise jobs of another cluster
     * would count as known.
     */
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

    /** Returns the ledger's kind and state. */
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
     * The live replicas, including the replicas without a ledger.
     *
     * @param all the member ids of the group
     * @param own the member id of this replica; before the replica has joined, the list does not contain it
     */
    public record Members(List<String> all, String own) {}

    /**
     * Asks the broker for the live replicas. The broker removes a dead replica after {@link Projector#SESSION_TIMEOUT}.
     */
    public Members members(Admin admin) throws ExecutionException, InterruptedException {
        List<MemberDescription> members = Membership.all(admin, settings.groups());
        Projector projecting = projector;
        GroupPresence attending = attendance;
        String own = projecting != null ? projecting.member() : attending != null ? attending.member() : "";
        // this replica takes over the membership of a dead process with the same fixed name, so that member counts as
        // this replica
        String before = members.stream()
                .filter(member -> !instance.isEmpty()
                        && member.groupInstanceId().orElse("").equals(instance))
                .map(MemberDescription::consumerId)
                .findFirst()
                .orElse(own);
        return new Members(members.stream().map(MemberDescription::consumerId).toList(), before);
    }

    /** Returns the warning for the operator; empty if there is none. */
    public Optional<String> warning() {
        BatchWriter writing = writer;
        return writing == null ? Optional.empty() : writing.warning();
    }

    /**
     * The row of a job, and an offset in its reply partition.
     *
     * @param row the row, with the outcome if the outcome is small; empty if no record, event or command of the job is
     *     known
     * @param replyOffset the row contains every event of the job below this offset
     */
    public record Found(Optional<JobRow> row, long replyOffset) {
        /** Returns the job; empty if no record of it was read, or if its retention is over. */
        public Optional<JobState> state() {
            return row.flatMap(JobRow::state);
        }

        /** Returns whether a client can see anything: the job, or the refusal of its record. */
        public boolean isThere() {
            return row.filter(found ->
                            found.state().isPresent() || found.rejected().isPresent())
                    .isPresent();
        }
    }

    /**
     * Finds a job that any replica accepted before this call. If the ledger does not have the job yet, this method
     * first waits for the projection.
     */
    public Found find(JobId id) throws LedgerDatabase.Unavailable, InterruptedException {
        Found found = findNow(id);
        if (found.state().isPresent()) {
            return found;
        }
        // wait for the replies too: if the only record with this id was refused, only the reply topic shows it
        List<String> topics = new ArrayList<>(jobTopics);
        topics.add(replies.name());
        int partition = replies.partitionOf(id);
        awaitPast(topics, asked -> jobTopics.contains(asked.topic()) || asked.partition() == partition);
        return findNow(id);
    }

    /** Waits until the ledger contains all commands that were sent before this call. */
    public void awaitCommands() throws LedgerDatabase.Unavailable, InterruptedException {
        awaitPast(List.of(settings.topics().commands()), _ -> true);
    }

    /** Returns the jobs with these ids, without their answers, if any replica accepted them before this call. */
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

    /**
     * Returns the row of a job that may have run before. The row contains at least all events from before this call.
     */
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

    /** Returns the current row of a job. It does not wait for the projection. */
    public Found findNow(JobId id) throws LedgerDatabase.Unavailable, InterruptedException {
        return finder.find(id, FIND_WITHIN);
    }

    /** Returns the size of a job's outcome in bytes; 0 if the ledger keeps none. */
    public long outcomeBytes(JobId id) throws LedgerDatabase.Unavailable, InterruptedException {
        return database.read(connection -> Queries.outcomeBytes(connection, id));
    }

    /**
     * Returns a job's outcome as JSON, whatever its size; empty if the ledger keeps none. Only few outcomes are read at
     * once.
     */
    public String outcome(JobId id) throws LedgerDatabase.Unavailable, InterruptedException {
        outcomes.acquire();
        try {
            return database.read(connection -> Queries.outcome(connection, id));
        } finally {
            outcomes.release();
        }
    }

    /** Returns the current row of a job; empty if the ledger does not answer at once. */
    public Optional<JobRow> glance(JobId id) throws InterruptedException {
        try {
            return database.isThere() ? finder.find(id, GLANCE_WITHIN).row() : Optional.empty();
        } catch (LedgerDatabase.Unavailable _) {
            return Optional.empty();
        }
    }

    /** Returns a page of jobs, newest first, without their answers. */
    public Queries.Page list(Queries.Filter filter, Queries.@Nullable Cursor after, int limit)
            throws LedgerDatabase.Unavailable, InterruptedException {
        return database.read(connection -> Queries.list(connection, filter, after, limit));
    }

    /**
     * The place of a queued job in the order of all queued jobs.
     *
     * @param ahead the number of jobs before it; null if there are very many
     * @param estimatedWait the wait at the pace of the last minute; null if no job ended in that minute
     */
    public record Place(@Nullable Integer ahead, @Nullable Duration estimatedWait) {}

    /** Returns the place of a job; empty if the job is not queued. */
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

    /** Returns the request of a job; empty if the ledger does not keep it any more. */
    public Optional<String> request(JobId id, String bodyHash) throws LedgerDatabase.Unavailable, InterruptedException {
        return database.read(connection -> Queries.request(connection, id, bodyHash));
    }
}
