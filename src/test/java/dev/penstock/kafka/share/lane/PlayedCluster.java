package dev.penstock.kafka.share.lane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.Reading;
import dev.penstock.kafka.share.lane.LaneAnswer.Acknowledged;
import dev.penstock.kafka.share.lane.LaneAnswer.Acquired;
import dev.penstock.kafka.share.lane.LaneAnswer.Fetched;
import dev.penstock.kafka.share.lane.LaneAnswer.PartitionFetched;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.jspecify.annotations.Nullable;

/**
 * Brokers with one topic and one share group, as Kafka 4.3.1 behaves: sessions with epochs, locks that run out, and
 * results by partition, all or nothing. It also has each job's events, as the reading rule reads them.
 */
final class PlayedCluster {
    static final int NO_LEADER = -1;

    final int lock;
    final Map<Integer, Integer> leaders = new TreeMap<>();
    /** The members that are alive, in the order of their assignment. */
    final List<String> members = new ArrayList<>();
    /** Until when brokers have no room for another session. */
    final Map<Integer, Long> fullUntil = new HashMap<>();
    /** Until when a partition's state cannot be written or read. */
    final Map<Integer, Long> stuckUntil = new HashMap<>();

    private final Random random;
    private final Map<Uuid, Map<Integer, List<Kept>>> topics = new HashMap<>();
    private final Map<String, Session> sessions = new HashMap<>();
    private Uuid topic = new Uuid(1, 1);
    /** Whether a member fetches only what is assigned to it. */
    boolean assignedOnly;

    long now;

    enum State {
        AVAILABLE,
        ACQUIRED,
        DONE
    }

    enum Kind {
        JOB,
        GAP,
        DAMAGED
    }

    /** An offset of the log, and what the reply topic says of its job. */
    static final class Kept {
        final Kind kind;
        State state = State.AVAILABLE;
        String owner = "";
        long until;
        int deliveries;
        Reading reading = Reading.START;

        Kept(Kind kind) {
            this.kind = kind;
        }

        void free() {
            state = State.AVAILABLE;
            owner = "";
        }

        void publish(EventMark.Kind event, int attempt, String run) {
            reading = reading.after(new EventMark(event, attempt, run, 0));
        }
    }

    static final class Session {
        private final int connection;
        private final Uuid topic;
        private int epoch = 1;
        /** Kafka does not know a partition whose last session has ended, before it is fetched again. */
        private boolean knows;

        private final Set<Integer> partitions = new HashSet<>();

        private Session(int connection, Uuid topic) {
            this.connection = connection;
            this.topic = topic;
        }
    }

    /**
     * What a broker did with a request when it came.
     *
     * @param session null: the request is refused
     */
    record Arrival(@Nullable Session session, BrokerCode code, Map<Integer, BrokerCode> results) {}

    PlayedCluster(int partitions, int brokers, int lock, Random random) {
        this.lock = lock;
        this.random = random;
        topics.put(topic, new TreeMap<>());
        for (int i = 0; i < partitions; i++) {
            addPartition(i % brokers);
        }
    }

    void addPartition(int leader) {
        leaders.put(logs().size(), leader);
        logs().put(logs().size(), new ArrayList<>());
    }

    Uuid topic() {
        return topic;
    }

    /** The topic is deleted and made again, without records. */
    void makeAnew() {
        int partitions = logs().size();
        topic = new Uuid(1, topics.size() + 1);
        topics.put(topic, new TreeMap<>());
        for (int i = 0; i < partitions; i++) {
            logs().put(i, new ArrayList<>());
        }
    }

    private Map<Integer, List<Kept>> logs() {
        return Objects.requireNonNull(topics.get(topic));
    }

    List<Kept> log(int partition) {
        return logs().getOrDefault(partition, List.of());
    }

    Kept kept(Uuid id, int partition, long offset) {
        return Objects.requireNonNull(Objects.requireNonNull(topics.get(id)).get(partition))
                .get((int) offset);
    }

    private static String key(String member, int broker) {
        return member + "@" + broker;
    }

    private boolean isAssigned(String member, int partition) {
        return !assignedOnly || members.get(partition % members.size()).equals(member);
    }

    Set<Integer> assigned(String member) {
        Set<Integer> assigned = new HashSet<>(logs().keySet());
        assigned.removeIf(partition -> !isAssigned(member, partition));
        return assigned;
    }

    private void expire() {
        logs().values()
                .forEach(log -> log.forEach(kept -> {
                    if (kept.state == State.ACQUIRED && kept.until <= now) {
                        kept.free();
                    }
                }));
    }

    /** The new leader knows no locks. */
    void move(int partition, int broker) {
        leaders.put(partition, broker);
        log(partition).stream().filter(kept -> kept.state == State.ACQUIRED).forEach(Kept::free);
    }

    /** The broker forgets a session, and frees its records. */
    void evict(String member, int broker) {
        if (sessions.remove(key(member, broker)) != null) {
            free(member, broker);
        }
    }

    /**
     * The broker notices that a connection has ended.
     *
     * @param eager whether it frees the member's records although a newer session is open
     */
    void ended(String member, int broker, int connection, boolean eager) {
        Session session = sessions.get(key(member, broker));
        if (session != null && session.connection == connection) {
            sessions.remove(key(member, broker));
            free(member, broker);
        } else if (eager) {
            free(member, broker);
        }
    }

    private void free(String member, int broker) {
        logs().forEach((partition, log) -> {
            if (leaders.getOrDefault(partition, NO_LEADER) == broker) {
                log.stream()
                        .filter(kept -> kept.state == State.ACQUIRED && kept.owner.equals(member))
                        .forEach(Kept::free);
            }
        });
    }

    /** Handles a request up to its wait: the session and the acknowledgements. */
    Arrival arrive(String member, int broker, int connection, Uuid id, LaneRequest request) {
        expire();
        String key = key(member, broker);
        if (request.epoch() == LaneRequest.OPENING) {
            if (fullUntil.getOrDefault(broker, 0L) > now) {
                return new Arrival(null, BrokerCode.SESSION_LIMIT, Map.of());
            }
            sessions.put(key, new Session(connection, id));
        }
        Session session = sessions.get(key);
        boolean known = session != null
                && session.connection == connection
                && (request.epoch() <= 0 || request.epoch() == session.epoch);
        if (session == null || !known) {
            return new Arrival(null, BrokerCode.SESSION_GONE, Map.of());
        }
        session.epoch += request.epoch() > 0 ? 1 : 0;
        if (request instanceof LaneRequest.Fetch fetch) {
            session.partitions.addAll(fetch.added());
            session.partitions.removeAll(fetch.forgotten());
            session.knows |= fetch.records() > 0 || connection % 2 == 0;
        }
        Map<Integer, BrokerCode> results = new TreeMap<>();
        request.acks().forEach((partition, group) -> {
            boolean here = leads(broker, id, partition) && session.knows && session.partitions.contains(partition);
            results.put(partition, here ? apply(member, partition, group) : BrokerCode.MOVED);
        });
        if (request.epoch() == LaneRequest.FINAL) {
            sessions.remove(key);
            free(member, broker);
        }
        return new Arrival(session, BrokerCode.NONE, results);
    }

    private boolean leads(int broker, Uuid id, int partition) {
        return id.equals(topic) && leaders.getOrDefault(partition, NO_LEADER) == broker;
    }

    private BrokerCode apply(String member, int partition, AckGroup group) {
        List<Kept> log = log(partition);
        if (stuckUntil.getOrDefault(partition, 0L) > now && random.nextBoolean()) {
            return BrokerCode.RETRY;
        }
        int start = 0;
        while (start < log.size() && log.get(start).state == State.DONE) {
            start++;
        }
        for (AckGroup.Ack ack : group.acks()) {
            Kept kept = log.get((int) ack.offset());
            boolean below = ack.offset() < start;
            if (!below && (kept.state != State.ACQUIRED || !kept.owner.equals(member))) {
                return BrokerCode.NOT_OURS;
            }
        }
        for (AckGroup.Ack ack : group.acks()) {
            Kept kept = log.get((int) ack.offset());
            if (kept.state == State.ACQUIRED) {
                switch (ack.type()) {
                    case ACCEPT, ACCEPT_UNDOUBTED -> {
                        assertThat(kept.reading.isClosed())
                                .as("%d@%d is acknowledged with a valid outcome", partition, ack.offset())
                                .isTrue();
                        kept.state = State.DONE;
                    }
                    case GAP, REJECT -> {
                        assertThat(kept.kind).isNotEqualTo(Kind.JOB);
                        kept.state = State.DONE;
                    }
                    case RELEASE -> kept.free();
                    case RENEW -> kept.until = now + lock;
                }
            }
        }
        // the answer may be an error although the group was written
        return stuckUntil.getOrDefault(partition, 0L) > now ? BrokerCode.RETRY : BrokerCode.NONE;
    }

    /**
     * Tries to answer a fetch that has arrived. A fetch whose session is over may still lock records, which no answer then names.
     *
     * @return null: there is nothing, and the fetch may wait
     */
    @Nullable
    Fetched serve(String member, int broker, Arrival arrival, LaneRequest.Fetch fetch, int throttle, boolean waitOver) {
        expire();
        Session session = Objects.requireNonNull(arrival.session());
        Session latest = sessions.get(key(member, broker));
        boolean alive = latest == session;
        boolean zombie = latest != null && latest.connection != session.connection && random.nextInt(4) == 0;
        List<PartitionFetched> partitions = new ArrayList<>();
        Set<Integer> all = new HashSet<>(arrival.results().keySet());
        all.addAll(alive || zombie ? session.partitions : Set.of());
        int left = alive || zombie ? fetch.records() : 0;
        boolean something = zombie;
        for (int partition : all) {
            BrokerCode code = leads(broker, session.topic, partition)
                    ? isAssigned(member, partition)
                            ? stuckUntil.getOrDefault(partition, 0L) > now ? BrokerCode.RETRY : BrokerCode.NONE
                            : BrokerCode.UNKNOWN_MEMBER
                    : BrokerCode.MOVED;
            List<Acquired> acquired = new ArrayList<>();
            List<Kept> log = code == BrokerCode.NONE ? log(partition) : List.of();
            for (int offset = 0; offset < log.size() && left > 0; offset++) {
                Kept kept = log.get(offset);
                if (kept.state == State.AVAILABLE) {
                    kept.state = State.ACQUIRED;
                    kept.owner = member;
                    kept.until = now + lock;
                    kept.deliveries++;
                    acquired.add(new Acquired(offset, offset, kept.deliveries));
                    left--;
                }
            }
            something |= !acquired.isEmpty() || code != BrokerCode.NONE;
            partitions.add(new PartitionFetched(
                    partition,
                    code,
                    "",
                    arrival.results().getOrDefault(partition, BrokerCode.NONE),
                    acquired,
                    ByteBuffer.allocate(0)));
        }
        return something || waitOver ? new Fetched(BrokerCode.NONE, "", throttle, lock, partitions) : null;
    }

    Acknowledged acknowledged(Arrival arrival, int throttle) {
        return new Acknowledged(arrival.code(), "", throttle, lock, arrival.results());
    }

    boolean isDone() {
        return logs().values().stream().allMatch(log -> log.stream().allMatch(kept -> kept.state == State.DONE));
    }

    /** Returns how many jobs there are, and checks that each has one outcome. */
    int jobs() {
        int jobs = 0;
        for (List<Kept> log : logs().values()) {
            for (Kept kept : log) {
                jobs += kept.kind == Kind.JOB ? 1 : 0;
                assertThat(kept.reading.isClosed()).isEqualTo(kept.kind == Kind.JOB);
            }
        }
        return jobs;
    }

    /** Returns what is not done. */
    String left() {
        StringBuilder left = new StringBuilder();
        logs().forEach((partition, log) -> {
            for (int offset = 0; offset < log.size(); offset++) {
                Kept kept = log.get(offset);
                if (kept.state != State.DONE) {
                    left.append("%d@%d %s %s ".formatted(partition, offset, kept.state, kept.owner));
                }
            }
        });
        return left.toString();
    }
}
