package dev.penstock.kafka.share.lane;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.LaneAnswer.Acknowledged;
import dev.penstock.kafka.share.lane.LaneAnswer.Acquired;
import dev.penstock.kafka.share.lane.LaneAnswer.Fetched;
import dev.penstock.kafka.share.lane.LaneAnswer.PartitionFetched;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.Uuid;

/** Plays the broker for the lanes of one topic, step by step, with a paused clock. */
final class LaneScript {
    static final int LOCK = 3_000;
    static final Uuid TOPIC = new Uuid(1, 1);

    final TopicLanes topic;
    private final Map<Integer, LaneRequest> requests = new HashMap<>();
    long now = 1_000;

    LaneScript(int room, Map<Integer, Integer> leaders) {
        this(room, leaders, new SharedRoom(), 0);
    }

    /** @param rank a lower one is more urgent */
    LaneScript(int room, Map<Integer, Integer> leaders, SharedRoom shared, int rank) {
        topic = new TopicLanes("jobs", rank, ShareOptions.defaults(1 << 20, 1 << 24), shared);
        topic.hand().room(0, room);
        topic.onMetadata(new TopicLanes.View(TOPIC, leaders));
    }

    Lane lane(int broker) {
        return topic.lanes().stream()
                .filter(lane -> lane.broker() == broker)
                .findFirst()
                .orElseThrow();
    }

    LaneStep step(int broker) {
        return sent(broker, topic.step(lane(broker), now));
    }

    LaneStep step(int broker, Lane.Share share) {
        return sent(broker, lane(broker).step(share, now));
    }

    private LaneStep sent(int broker, LaneStep step) {
        if (step instanceof LaneStep.Send(LaneRequest request)) {
            requests.put(broker, request);
        }
        return step;
    }

    /** Returns the last request of a lane. */
    LaneRequest request(int broker) {
        return java.util.Objects.requireNonNull(requests.get(broker));
    }

    LaneRequest.Fetch fetch(int broker) {
        LaneStep step = step(broker);
        assertThat(step).isInstanceOf(LaneStep.Send.class);
        LaneRequest request = ((LaneStep.Send) step).request();
        assertThat(request).isInstanceOf(LaneRequest.Fetch.class);
        return (LaneRequest.Fetch) request;
    }

    LaneRequest.Acknowledge acknowledge(int broker) {
        LaneStep step = step(broker);
        assertThat(step).isInstanceOf(LaneStep.Send.class);
        LaneRequest request = ((LaneStep.Send) step).request();
        assertThat(request).isInstanceOf(LaneRequest.Acknowledge.class);
        return (LaneRequest.Acknowledge) request;
    }

    long idle(int broker) {
        LaneStep step = step(broker);
        assertThat(step).isInstanceOf(LaneStep.Idle.class);
        return ((LaneStep.Idle) step).until();
    }

    /** Answers a fetch with records of one partition, and takes them in flight. */
    List<TakenRecord> fetched(int broker, int partition, long first, long last) {
        return fetched(broker, partition, BrokerCode.NONE, first, last, 1);
    }

    List<TakenRecord> fetched(int broker, int partition, BrokerCode acks, long first, long last, int deliveries) {
        return answer(
                broker,
                new PartitionFetched(
                        partition,
                        BrokerCode.NONE,
                        "",
                        acks,
                        List.of(new Acquired(first, last, deliveries)),
                        ByteBuffer.allocate(0)));
    }

    List<TakenRecord> answer(int broker, PartitionFetched... partitions) {
        return answer(broker, request(broker), partitions);
    }

    List<TakenRecord> answer(int broker, LaneRequest request, PartitionFetched... partitions) {
        Lane lane = lane(broker);
        List<TakenRecord> taken = new ArrayList<>();
        Fetched answer = new Fetched(BrokerCode.NONE, "", 0, LOCK, List.of(partitions));
        for (Lane.Unread unread : lane.onFetched(request, answer, now)) {
            unread.deliveries().forEach((offset, deliveries) -> {
                TakenRecord record = new TakenRecord(
                        new ConsumerRecord<>("jobs", unread.from().partition(), offset, new byte[0], new byte[0]),
                        deliveries,
                        lane.lockedUntil());
                topic.hold(lane, record);
                taken.add(record);
            });
        }
        return taken;
    }

    /** Returns the acknowledgements of partition 0. */
    static AckGroup said(LaneRequest request) {
        return java.util.Objects.requireNonNull(request.acks().get(0));
    }

    static PartitionFetched nothing(int partition, BrokerCode fetch, BrokerCode acks) {
        return new PartitionFetched(partition, fetch, "", acks, List.of(), ByteBuffer.allocate(0));
    }

    void nothing(int broker) {
        answer(broker);
    }

    void failed(int broker, BrokerCode code) {
        lane(broker).onFetched(request(broker), new Fetched(code, code.name(), 0, 0, List.of()), now);
    }

    void acknowledged(int broker, BrokerCode... codes) {
        Map<Integer, BrokerCode> partitions = new HashMap<>();
        for (int i = 0; i < codes.length; i++) {
            partitions.put(i, codes[i]);
        }
        lane(broker).onAcknowledged(request(broker), new Acknowledged(BrokerCode.NONE, "", 0, LOCK, partitions), now);
    }

    void cut(int broker) {
        lane(broker).onDisconnected();
    }

    /** Opens the session of an empty lane. */
    LaneScript opened(int broker) {
        fetch(broker);
        nothing(broker);
        return this;
    }

    List<String> losses() {
        return topic.hand().takeLosses().stream()
                .map(loss -> loss.record().toString())
                .toList();
    }
}
