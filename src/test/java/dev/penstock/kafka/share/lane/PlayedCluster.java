package dev.penstock.kafka.share.lane;

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
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Brokers with one topic and one share group, as Kafka 4.3.1 behaves: sessions with epochs, locks that run out, and
 * results by partition, all or nothing.
 */
final class PlayedCluster {
    static final int LOCK = 3_000;

    final Map<Integer, Integer> leaders = new TreeMap<>();
    final Map<Integer, List<Kept>> logs = new TreeMap<>();
    private final Map<String, Session> sessions = new HashMap<>();
    long now;

    enum State {
        AVAILABLE,
        ACQUIRED,
        DONE
    }

    /** A record, or a gap in the log. */
    static final class Kept {
        final boolean gap;
        State state = State.AVAILABLE;
        String owner = "";
        long until;
        int deliveries;
        final List<String> owners = new ArrayList<>();

        Kept(boolean gap) {
            this.gap = gap;
        }

        void free() {
            state = State.AVAILABLE;
            owner = "";
        }
    }

    private static final class Session {
        final int connection;
        int epoch = 1;
        /** Kafka does not know a partition whose last session has ended, before it is fetched again. */
        boolean knows;

        final Set<Integer> partitions = new HashSet<>();

        Session(int connection) {
            this.connection = connection;
        }
    }

    PlayedCluster(int partitions, int brokers) {
        for (int i = 0; i < partitions; i++) {
            leaders.put(i, i % brokers);
            logs.put(i, new ArrayList<>());
        }
    }

    private static String key(String member, int broker) {
        return member + "@" + broker;
    }

    List<Kept> log(int partition) {
        return logs.getOrDefault(partition, List.of());
    }

    void expire() {
        logs.values()
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
        logs.forEach((partition, log) -> {
            if (leaders.getOrDefault(partition, -1) == broker) {
                log.stream()
                        .filter(kept -> kept.state == State.ACQUIRED && kept.owner.equals(member))
                        .forEach(Kept::free);
            }
        });
    }

    /** Handles a request up to its wait: the session and the acknowledgements. */
    LaneAnswer arrive(String member, int broker, int connection, LaneRequest request) {
        expire();
        String key = key(member, broker);
        if (request.epoch() == LaneRequest.OPENING) {
            sessions.put(key, new Session(connection));
        }
        Session session = sessions.get(key);
        boolean known = session != null
                && session.connection == connection
                && (request.epoch() <= 0 || request.epoch() == session.epoch);
        if (session == null || !known) {
            return request instanceof LaneRequest.Fetch
                    ? new Fetched(BrokerCode.SESSION_GONE, "", 0, 0, List.of())
                    : new Acknowledged(BrokerCode.SESSION_GONE, "", 0, 0, Map.of());
        }
        if (request.epoch() > 0) {
            session.epoch++;
        }
        if (request instanceof LaneRequest.Fetch fetch) {
            session.partitions.addAll(fetch.added());
            session.partitions.removeAll(fetch.forgotten());
            session.knows |= fetch.records() > 0 || connection % 2 == 0;
        }
        Map<Integer, BrokerCode> results = new TreeMap<>();
        request.acks().forEach((partition, group) -> {
            boolean here = leaders.getOrDefault(partition, -1) == broker
                    && session.knows
                    && session.partitions.contains(partition);
            results.put(partition, here ? apply(member, partition, group) : BrokerCode.MOVED);
        });
        if (request.epoch() == LaneRequest.FINAL) {
            sessions.remove(key);
            free(member, broker);
        }
        return new Acknowledged(BrokerCode.NONE, "", 0, LOCK, results);
    }

    private BrokerCode apply(String member, int partition, AckGroup group) {
        List<Kept> log = log(partition);
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
                    case GAP, ACCEPT, REJECT -> kept.state = State.DONE;
                    case RELEASE -> kept.free();
                    case RENEW -> kept.until = now + LOCK;
                }
            }
        }
        return BrokerCode.NONE;
    }

    /**
     * Tries to answer a fetch that has arrived.
     *
     * @return null: there is nothing, and the fetch may wait
     */
    @Nullable
    Fetched serve(
            String member,
            int broker,
            int connection,
            LaneRequest.Fetch fetch,
            Map<Integer, BrokerCode> acknowledged,
            boolean waitOver) {
        expire();
        Session session = sessions.get(key(member, broker));
        List<PartitionFetched> partitions = new ArrayList<>();
        Set<Integer> all = new HashSet<>(acknowledged.keySet());
        boolean alive = session != null && session.connection == connection;
        all.addAll(session != null && session.connection == connection ? session.partitions : Set.of());
        int left = alive ? fetch.records() : 0;
        boolean something = false;
        for (int partition : all) {
            boolean here = leaders.getOrDefault(partition, -1) == broker;
            List<Acquired> acquired = new ArrayList<>();
            List<Kept> log = log(partition);
            for (int offset = 0; here && offset < log.size() && left > 0; offset++) {
                Kept kept = log.get(offset);
                if (kept.state == State.AVAILABLE) {
                    kept.state = State.ACQUIRED;
                    kept.owner = member;
                    kept.until = now + LOCK;
                    kept.deliveries++;
                    kept.owners.add(member);
                    acquired.add(new Acquired(offset, offset, kept.deliveries));
                    left--;
                }
            }
            something |= !acquired.isEmpty() || !here;
            partitions.add(new PartitionFetched(
                    partition,
                    here ? BrokerCode.NONE : BrokerCode.MOVED,
                    "",
                    acknowledged.getOrDefault(partition, BrokerCode.NONE),
                    acquired,
                    ByteBuffer.allocate(0)));
        }
        return something || waitOver ? new Fetched(BrokerCode.NONE, "", 0, LOCK, partitions) : null;
    }

    boolean isDone() {
        return logs.values().stream().allMatch(log -> log.stream().allMatch(kept -> kept.state == State.DONE));
    }
}
