package dev.penstock.kafka.share;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.Uuid;

/** One topic that the client takes records from, as one member of one share group. Its public methods are thread-safe. */
public final class Subscription {
    private final ShareClient client;
    private final String topic;
    private final String group;
    private final Receiver receiver;
    private final String member = Uuid.randomUuid().toString();
    private volatile int room;
    private volatile ShareStatistics statistics = new ShareCounts().snapshot(0, 0);

    /* Only the client's thread. */
    private final TopicLanes lanes;
    private final Membership membership = new Membership();
    private final Map<Integer, Wire.Peer> peers = new HashMap<>();
    private final Set<String> complained = new HashSet<>();
    private Wire.Coordinator coordinator = new Wire.Coordinator(PartitionHand.NO_LEADER, new Cluster.Address("", 0));
    private boolean onlyAssigned;

    Subscription(ShareClient client, String topic, String group, Receiver receiver, ShareOptions options, int room) {
        this.client = client;
        this.topic = topic;
        this.group = group;
        this.receiver = receiver;
        this.room = room;
        lanes = new TopicLanes(topic, options);
    }

    public String topic() {
        return topic;
    }

    /**
     * The job of a record has ended.
     *
     * @param type ACCEPT, RELEASE or REJECT
     */
    public void finish(TakenRecord record, Acknowledgement type) {
        if (type == Acknowledgement.GAP || type == Acknowledgement.RENEW) {
            throw new IllegalArgumentException("a job does not end with " + type);
        }
        client.finish(this, record, type);
    }

    /** Sets how many records this topic may have in hand. With 0, the client takes nothing more and keeps what it has. */
    public void room(int most) {
        if (room != most) {
            room = most;
            client.wakeUp();
        }
    }

    int room() {
        return room;
    }

    /** Returns the counters, at most a second old. */
    public ShareStatistics statistics() {
        return statistics;
    }

    String group() {
        return group;
    }

    Receiver receiver() {
        return receiver;
    }

    Wire.Membered who() {
        return new Wire.Membered(group, member, lanes.id());
    }

    TopicLanes lanes() {
        return lanes;
    }

    Membership membership() {
        return membership;
    }

    Map<Integer, Wire.Peer> peers() {
        return peers;
    }

    Wire.Coordinator coordinator() {
        return coordinator;
    }

    void coordinator(Wire.Coordinator found) {
        coordinator = found;
    }

    boolean isOnlyAssigned() {
        return onlyAssigned;
    }

    /** The broker refuses partitions that it has not assigned. */
    void fetchOnlyAssigned() {
        onlyAssigned = true;
    }

    /** Returns whether to log this for the first time. */
    boolean isNews(String complaint) {
        return complained.size() < 1_000 && complained.add(complaint);
    }

    void publish() {
        statistics = lanes.hand()
                .counts()
                .snapshot(lanes.hand().held(), lanes.lanes().size());
    }
}
