package dev.penstock.kafka.share.lane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.LaneAnswer.Acknowledged;
import dev.penstock.kafka.share.lane.LaneAnswer.Fetched;
import dev.penstock.kafka.share.lane.PlayedCluster.Kept;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.Uuid;

/** One replica of the property test: real lanes over played connections, and jobs that end after a while. */
final class PlayedMember {
    private static final Uuid TOPIC = new Uuid(1, 1);

    final TopicLanes topic;
    int runs;

    /** The records whose run did not look for other runs before it ended. */
    private final Set<String> claims = new HashSet<>();

    private final String id;
    private final PlayedCluster cluster;
    private final PriorityQueue<Event> events;
    private final Random random;
    private final int longestJob;
    private final Map<String, TakenRecord> running = new HashMap<>();
    private final Map<Integer, Integer> connections = new HashMap<>();
    private final Map<Integer, Long> downUntil = new HashMap<>();
    private int lastConnection;
    private long wakeAt;

    /** Something that happens at a time; the number keeps the order of one time. */
    record Event(long at, long number, Runnable run) implements Comparable<Event> {
        @Override
        public int compareTo(Event other) {
            return at == other.at ? Long.compare(number, other.number) : Long.compare(at, other.at);
        }
    }

    PlayedMember(
            String id, PlayedCluster cluster, PriorityQueue<Event> events, Random random, int room, int longestJob) {
        this.id = id;
        this.cluster = cluster;
        this.events = events;
        this.random = random;
        this.longestJob = longestJob;
        topic = new TopicLanes("jobs", ShareOptions.defaults(1 << 20, 1 << 24), new SharedRoom());
        topic.hand().room(0, room);
        metadata();
    }

    void at(long time, Runnable run) {
        events.add(new Event(time, random.nextInt(1 << 20), run));
    }

    void metadata() {
        topic.onMetadata(new TopicLanes.View(TOPIC, Map.copyOf(cluster.leaders)));
    }

    /** Lets every lane do what it can. */
    void step() {
        boolean again = true;
        while (again) {
            again = false;
            for (Lane lane : topic.order()) {
                if (lane.isWaiting() || downUntil.getOrDefault(lane.broker(), 0L) > cluster.now) {
                    continue;
                }
                switch (topic.step(lane, cluster.now)) {
                    case LaneStep.Send(LaneRequest request) -> {
                        checked(lane, request);
                        send(lane, request);
                        again = true;
                    }
                    case LaneStep.Idle(long until) -> {
                        wake(until);
                    }
                }
            }
        }
        for (TopicHand.Loss loss : topic.hand().takeLosses()) {
            running.remove(loss.record().toString(), loss.record());
        }
        if (topic.hand().takeMetadataWanted()) {
            at(cluster.now + 20, this::metadata);
        }
    }

    private void wake(long until) {
        long time = Math.max(until, cluster.now + 1);
        if (until < LaneStep.NEVER && (wakeAt <= cluster.now || time < wakeAt)) {
            wakeAt = time;
            at(time, () -> {});
        }
    }

    private void checked(Lane lane, LaneRequest request) {
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

    private void send(Lane lane, LaneRequest request) {
        int broker = lane.broker();
        int connection = connections.computeIfAbsent(broker, _ -> ++lastConnection);
        at(cluster.now + 1 + random.nextInt(3), () -> {
            Set<String> ours = owned(request);
            LaneAnswer first = cluster.arrive(id, broker, connection, request);
            if (first instanceof Acknowledged said) {
                checkClaims(request, said, ours);
            }
            if (request instanceof LaneRequest.Fetch fetch && first instanceof Acknowledged said) {
                serve(lane, connection, fetch, said.partitions(), cluster.now + fetch.waitMillis());
            } else {
                answer(lane, connection, first);
            }
        });
    }

    private Set<String> owned(LaneRequest request) {
        Set<String> owned = new HashSet<>();
        request.acks()
                .forEach((partition, group) -> group.acks().forEach(ack -> {
                    Kept kept = cluster.log(partition).get((int) ack.offset());
                    if (kept.state == PlayedCluster.State.ACQUIRED && kept.owner.equals(id)) {
                        owned.add(name(partition, ack.offset()));
                    }
                }));
        return owned;
    }

    /**
     * Checks that a run that acknowledged without looking for other runs was the only one: otherwise its outcome may be
     * void.
     */
    private void checkClaims(LaneRequest request, Acknowledged said, Set<String> owned) {
        request.acks()
                .forEach((partition, group) -> group.acks().forEach(ack -> {
                    String name = name(partition, ack.offset());
                    boolean done = ack.type() == Acknowledgement.ACCEPT || ack.type() == Acknowledgement.REJECT;
                    if (done
                            && owned.contains(name)
                            && said.partitions().get(partition) == BrokerCode.NONE
                            && claims.contains(name)) {
                        assertThat(cluster.log(partition).get((int) ack.offset()).owners)
                                .as("who had %s", name)
                                .containsOnly(id);
                    }
                }));
    }

    private static String name(int partition, long offset) {
        return "jobs-" + partition + "@" + offset;
    }

    private void serve(Lane lane, int connection, LaneRequest.Fetch fetch, Map<Integer, BrokerCode> said, long until) {
        Fetched answer = cluster.serve(id, lane.broker(), connection, fetch, said, cluster.now >= until);
        if (answer == null) {
            at(cluster.now + 10, () -> serve(lane, connection, fetch, said, until));
        } else {
            answer(lane, connection, answer);
        }
    }

    private void answer(Lane lane, int connection, LaneAnswer answer) {
        at(cluster.now + 1 + random.nextInt(3), () -> {
            if (connections.getOrDefault(lane.broker(), 0) != connection) {
                return;
            }
            switch (answer) {
                case Acknowledged acknowledged -> lane.onAcknowledged(acknowledged, cluster.now);
                case Fetched fetched ->
                    lane.onFetched(fetched, cluster.now)
                            .forEach(unread -> unread.deliveries()
                                    .forEach((offset, deliveries) ->
                                            take(lane, unread.from().partition(), offset, deliveries)));
            }
        });
    }

    private void take(Lane lane, int partition, long offset, int deliveries) {
        Kept kept = cluster.log(partition).get((int) offset);
        if (kept.gap) {
            topic.hand().partition(partition).acks().add(offset, Acknowledgement.GAP);
            return;
        }
        TakenRecord record = new TakenRecord(
                new ConsumerRecord<>("jobs", partition, offset, new byte[0], new byte[0]),
                deliveries,
                lane.lockedUntil());
        topic.hold(lane, record);
        runs++;
        claims.remove(record.toString());
        assertThat(running.put(record.toString(), record)).isNull();
        at(cluster.now + (random.nextInt(4) == 0 ? 0 : random.nextInt(longestJob)), () -> finish(record, deliveries));
    }

    /** @param deliveries the count that its run saw at its start */
    private void finish(TakenRecord record, int deliveries) {
        int kind = random.nextInt(20);
        Acknowledgement type =
                kind == 0 ? Acknowledgement.REJECT : kind < 3 ? Acknowledgement.RELEASE : Acknowledgement.ACCEPT;
        if (running.remove(record.toString(), record)) {
            if (deliveries == 1 && !record.wasInDoubt()) {
                claims.add(record.toString());
            }
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
        at(cluster.now + downMillis, () -> {});
        at(cluster.now + noticedAfter, () -> cluster.ended(id, broker, connection, eager));
        topic.lanes().stream().filter(lane -> lane.broker() == broker).forEach(Lane::onDisconnected);
    }

    boolean isAtRest() {
        return running.isEmpty()
                && topic.hand().held() == 0
                && topic.hand().partitions().stream()
                        .allMatch(partition -> partition.acks().isEmpty()
                                && partition.doubtful().isEmpty());
    }
}
