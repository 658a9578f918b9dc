package dev.penstock.kafka.share.lane;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.jspecify.annotations.Nullable;

/** All lanes of one topic: a state machine without input and output. */
public final class TopicLanes {
    /** After this time, a lane gets its turn even if another one brings records all the time. */
    private static final long LONGEST_TURN_MILLIS = 500;

    private final String topic;
    private final int rank;
    private final ShareOptions options;
    private final SharedRoom shared;
    private final TopicHand hand = new TopicHand();
    private final Map<Integer, Lane> lanes = new TreeMap<>();
    private Uuid id = Uuid.ZERO_UUID;

    /**
     * What the brokers know of the topic.
     *
     * @param leaders the leader of each partition that has one
     */
    public record View(Uuid id, Map<Integer, Integer> leaders) {
        public View {
            leaders = Map.copyOf(leaders);
        }
    }

    /** @param rank the topics with a lower one are more urgent */
    public TopicLanes(String topic, int rank, ShareOptions options, SharedRoom shared) {
        this.topic = topic;
        this.rank = rank;
        this.options = options;
        this.shared = shared;
        shared.add(this);
    }

    String topic() {
        return topic;
    }

    int rank() {
        return rank;
    }

    public Uuid id() {
        return id;
    }

    public TopicHand hand() {
        return hand;
    }

    public Collection<Lane> lanes() {
        return lanes.values();
    }

    /** Returns the room that no lane has asked for. It is negative after a lowered limit, or while records are doubtful. */
    int free(long now) {
        return shared.free(this, now);
    }

    /** Returns how many records are in flight or asked for. */
    int used() {
        return hand.held() + asked();
    }

    private int asked() {
        int asked = 0;
        for (Lane lane : lanes.values()) {
            asked += lane.asked();
        }
        return asked;
    }

    /** Returns whether there is room, and nothing is asked for. */
    boolean isHungry() {
        return !lanes.isEmpty() && asked() == 0 && hand.held() < hand.room();
    }

    /** Returns whether there is room, and a broker probably has records for it. */
    boolean hasMore(long now) {
        return hand.held() < hand.room() && lanes.values().stream().anyMatch(lane -> lane.hasMore(now));
    }

    /**
     * Returns the lanes in the order of their turns: first those that have not asked for a while, then those that
     * brought something last.
     */
    public List<Lane> order(long now) {
        List<Lane> order = new ArrayList<>(lanes.values());
        if (order.size() > 1) {
            order.sort(Comparator.comparing((Lane lane) -> lane.askedAt() > now - LONGEST_TURN_MILLIS)
                    .thenComparing(lane -> lane.brought() == 0)
                    .thenComparingLong(Lane::askedAt));
        }
        return order;
    }

    /** Decides what a lane does now. */
    public LaneStep step(Lane lane, long now) {
        int free = free(now);
        int others = 0;
        for (Lane other : lanes.values()) {
            if (other != lane && !other.isWaiting() && other.notBefore() <= now) {
                others++;
            }
        }
        // a lane whose last fetch brought nothing asks for one record while there are others
        int most = lanes.size() == 1 ? free : lane.brought() > 0 ? Math.max(1, free - others) : 1;
        int records = Math.clamp(free, 0, Math.clamp(most, 0, shared.limit(lane)));
        boolean starve = (others > 0 && free - records <= 0) || (records > 0 && shared.othersStarve(this, records));
        LaneStep step = lane.step(new Lane.Share(free, records, starve), now);
        // once the more urgent topics have no more, there is more room without any event
        return step instanceof LaneStep.Idle(long until) && shared.isHeldBack(this, now)
                ? new LaneStep.Idle(Math.min(until, now + Lane.MORE_MILLIS))
                : step;
    }

    /** A new record is in flight. */
    public void hold(Lane from, TakenRecord record) {
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
     * @return whether the record was in flight; otherwise another consumer may own it
     */
    public boolean finish(TakenRecord record, Acknowledgement type) {
        PartitionHand partition = hand.partition(record.partition());
        if (partition.held().get(record.offset()) != record) {
            return false;
        }
        partition.finish(record, type);
        return true;
    }

    /** Renews the lock of a record as soon as its lane has no request in flight. {@link #isRenewed} has the result. */
    public void renew(TakenRecord record) {
        Lane lane = lanes.get(hand.partition(record.partition()).leader());
        if (lane == null) {
            // the lane that comes renews all
            record.wantRenewal();
        } else {
            lane.renewNow(record);
        }
    }

    /** Returns whether the broker has renewed the lock since {@link #renew}; null if it has not answered yet. */
    public @Nullable Boolean isRenewed(TakenRecord record) {
        PartitionHand partition = hand.partition(record.partition());
        if (partition.held().get(record.offset()) != record) {
            return false;
        }
        Lane lane = lanes.get(partition.leader());
        boolean known = lane != null && lane.state() == Lane.State.OPEN && record.isRenewed();
        return known ? true : null;
    }

    /** The client closes, so that the broker gives the records to others. */
    public void loseAll(String why) {
        for (PartitionHand partition : hand.partitions()) {
            for (long offset : List.copyOf(partition.held().keySet())) {
                hand.lose(partition, offset, why);
            }
        }
    }

    /**
     * The partitions, leaders or the topic itself may be others now.
     *
     * @return lanes to brokers that lead nothing any more; their connections close
     */
    public List<Lane> onMetadata(View view) {
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
            partition.doubtAll();
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
            loseAll("the topic was deleted and made anew");
            hand.partitions().forEach(PartitionHand::clear);
            lanes.values().forEach(Lane::restart);
        }
    }
}
