package dev.penstock.kafka.share;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;

/** All lanes of one topic: a state machine without input and output. */
final class TopicLanes {
    private final String topic;
    private final ShareOptions options;
    private final TopicHand hand = new TopicHand();
    private final Map<Integer, Lane> lanes = new TreeMap<>();
    private Uuid id = Uuid.ZERO_UUID;
    private int turn;

    /**
     * What the brokers know of the topic.
     *
     * @param leaders the leader of each partition that has one
     */
    record View(Uuid id, Map<Integer, Integer> leaders) {
        View {
            leaders = Map.copyOf(leaders);
        }
    }

    TopicLanes(String topic, ShareOptions options) {
        this.topic = topic;
        this.options = options;
    }

    String topic() {
        return topic;
    }

    Uuid id() {
        return id;
    }

    TopicHand hand() {
        return hand;
    }

    Collection<Lane> lanes() {
        return lanes.values();
    }

    /** Returns the room that no lane has asked for. It is negative after a lowered limit, or while records are doubtful. */
    int free() {
        int asked = 0;
        for (Lane lane : lanes.values()) {
            asked += lane.asked();
        }
        return hand.room() - hand.held() - asked;
    }

    /** Returns the lanes in the order of their turns: first those that brought something last. */
    List<Lane> order() {
        List<Lane> order = new ArrayList<>(lanes.values());
        if (order.size() > 1) {
            Collections.rotate(order, turn++);
            order.sort(Comparator.comparing(Lane::isHot).reversed());
        }
        return order;
    }

    /** Decides what a lane does now. */
    LaneStep step(Lane lane, long now) {
        int free = free();
        int others = 0;
        for (Lane other : lanes.values()) {
            if (other != lane && !other.isWaiting() && other.notBefore() <= now) {
                others++;
            }
        }
        // a lane whose last fetch brought nothing asks for one record while there are others
        int most = lanes.size() == 1 ? free : lane.isHot() ? Math.max(1, free - others) : 1;
        int records = Math.clamp(free, 0, Math.max(0, most));
        return lane.step(new Lane.Share(free, records, others > 0 && free - records <= 0), now);
    }

    /** A new record is in hand. */
    void hold(Lane from, TakenRecord record) {
        PartitionHand partition = hand.partition(record.partition());
        partition.held().put(record.offset(), record);
        hand.counts().taken++;
        from.held(record);
        Lane leader = lanes.get(partition.leader());
        if (leader != null && leader != from) {
            leader.check(partition);
        }
    }

    /**
     * The job of a record has ended.
     *
     * @return whether the record was in hand; otherwise another consumer may own it
     */
    boolean finish(TakenRecord record, Acknowledgement type) {
        PartitionHand partition = hand.partition(record.partition());
        if (partition.held().get(record.offset()) != record) {
            return false;
        }
        partition.finish(record.offset(), type);
        return true;
    }

    /**
     * The partitions, leaders or the topic itself may be others now.
     *
     * @return lanes to brokers that lead nothing any more; their connections close
     */
    List<Lane> onMetadata(View view) {
        if (!view.id().equals(id)) {
            made(view.id());
        }
        Set<Integer> all = new HashSet<>(view.leaders().keySet());
        hand.partitions().forEach(partition -> all.add(partition.partition()));
        for (int number : all) {
            PartitionHand partition = hand.partition(number);
            int before = partition.leader();
            int leader = view.leaders().getOrDefault(number, PartitionHand.NO_LEADER);
            if (leader == before) {
                continue;
            }
            partition.ledBy(leader);
            partition.doubtful().clear();
            if (leader != PartitionHand.NO_LEADER) {
                lanes.computeIfAbsent(leader, broker -> new Lane(broker, hand, options))
                        .check(partition);
            }
        }
        List<Lane> gone = new ArrayList<>();
        for (Lane lane : lanes.values()) {
            if (!view.leaders().containsValue(lane.broker()) && !lane.isWaiting()) {
                gone.add(lane);
            }
        }
        gone.forEach(lane -> lanes.remove(lane.broker()));
        return gone;
    }

    private void made(Uuid newId) {
        boolean again = !id.equals(Uuid.ZERO_UUID);
        id = newId;
        if (again) {
            for (PartitionHand partition : hand.partitions()) {
                for (long offset : List.copyOf(partition.held().keySet())) {
                    hand.lose(partition, offset, "the topic was deleted and made anew");
                }
                partition.clear();
            }
            lanes.values().forEach(Lane::restart);
        }
    }
}
