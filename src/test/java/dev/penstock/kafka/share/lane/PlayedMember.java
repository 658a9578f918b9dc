package dev.penstock.kafka.share.lane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.job.Reading;
import dev.penstock.kafka.share.lane.LaneAnswer.Acknowledged;
import dev.penstock.kafka.share.lane.LaneAnswer.Fetched;
import dev.penstock.kafka.share.lane.PlayedCluster.Arrival;
import dev.penstock.kafka.share.lane.PlayedCluster.Kept;
import java.util.HashMap;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Random;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.Uuid;
import org.jspecify.annotations.Nullable;

/**
 * One replica of the property test: real lanes over played connections, and runs that publish their events as the
 * dispatcher's runs do.
 */
final class PlayedMember {
    private static final int POLL_MILLIS = 40;

    final TopicLanes topic;
    /** How many runs have published {@code started}. */
    int starts;
    /** Whether a run that has not looked its job up acknowledges it in any case. */
    boolean trusting;
    /** Whether some runs end without an outcome. */
    boolean handsBack = true;
    /** Until when the process stands still. */
    long stalledUntil;

    int throttle;
    final String id;
    private final PlayedCluster cluster;
    private final PriorityQueue<Event> events;
    private final Random random;
    private final int longestJob;
    private final Map<String, TakenRecord> running = new HashMap<>();
    private final Map<Integer, Integer> connections = new HashMap<>();
    private final Map<Integer, Long> downUntil = new HashMap<>();
    private int lastConnection;
    private int lastRun;
    private boolean onlyAssigned;
    private boolean dead;
    private long wakeAt;

    /**
     * Something that happens at a time.
     *
     * @param number the order of what happens at one time
     * @param member the replica in which it happens; null: elsewhere
     */
    record Event(long at, long number, @Nullable PlayedMember member, Runnable run) implements Comparable<Event> {
        @Override
        public int compareTo(Event other) {
            return at == other.at ? Long.compare(number, other.number) : Long.compare(at, other.at);
        }
    }

    /** A run of a job. */
    private record Run(String name, TakenRecord record, Kept kept, int deliveries, int attempt) {}

    PlayedMember(
            String id, PlayedCluster cluster, PriorityQueue<Event> events, Random random, int room, int longestJob) {
        this.id = id;
        this.cluster = cluster;
        this.events = events;
        this.random = random;
        this.longestJob = longestJob;
        topic = new TopicLanes("jobs", 0, ShareOptions.defaults(1 << 20, 1 << 24), new SharedRoom());
        topic.hand().room(0, room);
        cluster.members.add(id);
        metadata();
    }

    private void elsewhere(long millis, Runnable run) {
        events.add(new Event(cluster.now + millis, random.nextInt(1 << 20), null, run));
    }

    /** Something happens in this replica. */
    void after(long millis, Runnable run) {
        events.add(new Event(cluster.now + millis, random.nextInt(1 << 20), this, run));
    }

    void metadata() {
        Map<Integer, Integer> leaders = new HashMap<>(cluster.leaders);
        leaders.values().removeIf(leader -> leader == PlayedCluster.NO_LEADER);
        topic.onMetadata(new TopicLanes.View(cluster.topic(), leaders));
    }

    boolean isDead() {
        return dead;
    }

    /** Lets every lane do what it can. */
    void step() {
        boolean again = true;
        while (again) {
            again = false;
            for (Lane lane : topic.order(cluster.now)) {
                if (lane.isWaiting() || downUntil.getOrDefault(lane.broker(), 0L) > cluster.now) {
                    continue;
                }
                switch (topic.step(lane, cluster.now)) {
                    case LaneStep.Send(LaneRequest request) -> {
                        check(lane, request);
                        send(lane, request);
                        again = true;
                    }
                    case LaneStep.Idle(long until) -> wake(until);
                }
            }
        }
        for (TopicHand.Loss loss : topic.hand().takeLosses()) {
            running.values().remove(loss.record());
        }
        if (topic.hand().takeMetadataWanted()) {
            after(20, this::metadata);
        }
        onlyAssigned |= topic.hand().takeRejoinWanted();
        if (onlyAssigned) {
            topic.hand().fetchOnly(cluster.assigned(id));
        }
    }

    private void wake(long until) {
        long time = Math.max(until, cluster.now + 1);
        if (until < LaneStep.NEVER && (wakeAt <= cluster.now || time < wakeAt)) {
            wakeAt = time;
            after(time - cluster.now, () -> {});
        }
    }

    private void check(Lane lane, LaneRequest request) {
        if (request instanceof LaneRequest.Fetch fetch) {
            int doubtful = topic.hand().partitions().stream()
                    .mapToInt(partition -> partition.doubtful().size())
                    .sum();
            int asked = topic.lanes().stream()
                    .filter(other -> other != lane)
                    .mapToInt(Lane::asked)
                    .sum();
            assertThat(fetch.records())
                    .isLessThanOrEqualTo(
                            Math.max(0, topic.hand().room() - topic.hand().held() - asked) + doubtful);
        }
        request.acks()
                .forEach((partition, group) -> group.acks().forEach(ack -> {
                    if (ack.type() == Acknowledgement.RENEW) {
                        assertThat(topic.hand().partition(partition).held()).containsKey(ack.offset());
                    }
                }));
    }

    // ---- requests

    private void send(Lane lane, LaneRequest request) {
        int broker = lane.broker();
        int connection = connections.computeIfAbsent(broker, _ -> ++lastConnection);
        Uuid sentTo = topic.id();
        elsewhere(1 + random.nextInt(3), () -> {
            Arrival arrival = cluster.arrive(id, broker, connection, sentTo, request);
            if (request instanceof LaneRequest.Fetch fetch && arrival.session() != null) {
                serve(lane, connection, sentTo, fetch, arrival, cluster.now + fetch.waitMillis());
            } else if (request instanceof LaneRequest.Fetch) {
                Fetched failed = new Fetched(arrival.code(), "", throttle, 0, java.util.List.of());
                answer(lane, connection, sentTo, request, failed);
            } else {
                answer(lane, connection, sentTo, request, cluster.acknowledged(arrival, throttle));
            }
        });
    }

    private void serve(
            Lane lane, int connection, Uuid sentTo, LaneRequest.Fetch fetch, Arrival arrival, long waitUntil) {
        Fetched answer = cluster.serve(id, lane.broker(), arrival, fetch, throttle, cluster.now >= waitUntil);
        if (answer == null) {
            elsewhere(
                    Math.clamp(waitUntil - cluster.now, 1, POLL_MILLIS),
                    () -> serve(lane, connection, sentTo, fetch, arrival, waitUntil));
        } else {
            answer(lane, connection, sentTo, fetch, answer);
        }
    }

    private void answer(Lane lane, int connection, Uuid sentTo, LaneRequest request, LaneAnswer answer) {
        after(1 + random.nextInt(3), () -> {
            if (connections.getOrDefault(lane.broker(), 0) != connection) {
                return;
            }
            switch (answer) {
                case Acknowledged acknowledged -> lane.onAcknowledged(request, acknowledged, cluster.now);
                case Fetched fetched ->
                    lane.onFetched(request, fetched, cluster.now)
                            .forEach(unread -> unread.deliveries()
                                    .forEach((offset, deliveries) ->
                                            take(lane, sentTo, unread.from().partition(), offset, deliveries)));
            }
        });
    }

    private void take(Lane lane, Uuid from, int partition, long offset, int deliveries) {
        Kept kept = cluster.kept(from, partition, offset);
        switch (kept.kind) {
            case GAP -> topic.hand().partition(partition).acks().add(offset, Acknowledgement.GAP);
            case DAMAGED -> topic.hand().partition(partition).acks().add(offset, Acknowledgement.REJECT);
            case JOB -> {
                TakenRecord record = new TakenRecord(
                        new ConsumerRecord<>("jobs", partition, offset, new byte[0], new byte[0]),
                        deliveries,
                        lane.lockedUntil());
                topic.hold(lane, record);
                assertThat(running.put(from + " " + record, record))
                        .as("another run of %s", record)
                        .isNull();
                recover(record, kept, deliveries);
            }
        }
    }

    // ---- runs

    private boolean runs(TakenRecord record) {
        return running.containsValue(record);
    }

    private void recover(TakenRecord record, Kept kept, int deliveries) {
        Reading known = deliveries > 1 ? kept.reading : Reading.START;
        if (known.isClosed()) {
            after(random.nextInt(20), () -> finish(record, Acknowledgement.ACCEPT));
            return;
        }
        Run run = new Run(id + "/" + ++lastRun, record, kept, deliveries, known.nextRunAttempt());
        after(random.nextInt(10), () -> start(run));
    }

    private void start(Run run) {
        if (!runs(run.record())) {
            return;
        }
        starts++;
        run.kept().publish(EventMark.Kind.STARTED, run.attempt(), run.name());
        if (random.nextInt(5) == 0) {
            topic.renew(run.record());
        }
        long length = random.nextInt(4) == 0 ? 0 : random.nextInt(longestJob);
        if (handsBack && random.nextInt(10) == 0) {
            after(length, () -> finish(run.record(), Acknowledgement.RELEASE));
        } else {
            after(length, () -> end(run));
        }
    }

    /** A run whose record was lost may not know it yet. */
    private void end(Run run) {
        if (runs(run.record()) || random.nextBoolean()) {
            run.kept().publish(EventMark.Kind.COMPLETED, run.attempt(), run.name());
            after(random.nextInt(5), () -> look(run));
        }
    }

    private void look(Run run) {
        if (run.deliveries() > 1 || run.record().wasInDoubt()) {
            settle(run);
        } else {
            Acknowledgement type = trusting ? Acknowledgement.ACCEPT : Acknowledgement.ACCEPT_UNDOUBTED;
            after(random.nextInt(3) == 0 ? random.nextInt(400) : 0, () -> finish(run.record(), type));
        }
    }

    private void settle(Run run) {
        if (!runs(run.record())) {
            return;
        }
        if (run.kept().reading.isClosed()) {
            after(random.nextInt(10), () -> finish(run.record(), Acknowledgement.ACCEPT));
            return;
        }
        int attempt = run.kept().reading.nextRunAttempt();
        after(1 + random.nextInt(10), () -> {
            run.kept().publish(EventMark.Kind.STARTED, attempt, run.name());
            run.kept().publish(EventMark.Kind.COMPLETED, attempt, run.name());
            settle(run);
        });
    }

    private void finish(TakenRecord record, Acknowledgement type) {
        if (running.values().remove(record)) {
            assertThat(topic.finish(record, type)).isTrue();
        }
    }

    // ---- faults

    /** The connection ends: requests and answers on their way are lost. */
    void cut(int broker, int downMillis, int noticedAfter, boolean eager) {
        Integer connection = connections.remove(broker);
        if (connection == null) {
            return;
        }
        downUntil.put(broker, cluster.now + downMillis);
        after(downMillis, () -> {});
        elsewhere(noticedAfter, () -> cluster.ended(id, broker, connection, eager));
        topic.lanes().stream().filter(lane -> lane.broker() == broker).forEach(Lane::onDisconnected);
    }

    /** The process ends. */
    void kill() {
        dead = true;
        running.clear();
        cluster.members.remove(id);
        connections.forEach((broker, connection) -> cluster.ended(id, broker, connection, false));
    }

    @Override
    public String toString() {
        return "%s%s only assigned: %s, room %d, runs %s, lanes %s"
                .formatted(
                        id,
                        dead ? " (dead)" : "",
                        onlyAssigned,
                        topic.hand().room(),
                        running.keySet(),
                        topic.lanes().stream()
                                .map(lane -> lane.broker() + " " + lane.state() + " " + lane.isWaiting() + " "
                                        + lane.notBefore())
                                .toList());
    }

    boolean isAtRest() {
        return dead
                || (running.isEmpty()
                        && topic.hand().held() == 0
                        && topic.hand().partitions().stream()
                                .allMatch(partition -> partition.acks().isEmpty()
                                        && partition.doubtful().isEmpty()));
    }
}
