package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.Acknowledgement;
import dev.penstock.kafka.share.lane.PartitionHand;
import dev.penstock.kafka.share.lane.ShareCounts;
import dev.penstock.kafka.share.lane.ShareOptions;
import dev.penstock.kafka.share.lane.SharedRoom;
import dev.penstock.kafka.share.lane.TakenRecord;
import dev.penstock.kafka.share.lane.TopicLanes;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.common.Uuid;

/** One topic that the client takes records from, as one member of one share group. Its public methods are thread-safe. */
public final class Subscription implements ShareTopic {
    private final ShareClient client;
    private final String topic;
    private final String group;
    private final Receiver receiver;
    private final String member = Uuid.randomUuid().toString();
    private volatile Room room = new Room(0, 0);
    private volatile ShareStatistics statistics = ShareStatistics.of(new ShareCounts(), 0, 0);

    /* Only the client's thread. */
    private final TopicLanes lanes;
    private final Membership membership = new Membership();
    private final Map<Integer, Wire.Peer> peers = new HashMap<>();
    private final Complaints complaints = new Complaints();
    private Cluster.Coordinator coordinator =
            new Cluster.Coordinator(PartitionHand.NO_LEADER, new Cluster.Address("", 0));
    private boolean onlyAssigned;

    /** One member's session: whose it is. */
    record Who(String group, String member, Uuid topic) {}

    private record Room(int least, int most) {}

    Subscription(
            ShareClient client,
            String topic,
            String group,
            Receiver receiver,
            ShareOptions options,
            SharedRoom shared,
            int rank) {
        this.client = client;
        this.topic = topic;
        this.group = group;
        this.receiver = receiver;
        lanes = new TopicLanes(topic, rank, options, shared);
    }

    public String topic() {
        return topic;
    }

    @Override
    public void finish(TakenRecord record, Acknowledgement type) {
        if (type == Acknowledgement.GAP || type == Acknowledgement.RENEW) {
            throw new IllegalArgumentException("a job does not end with " + type);
        }
        client.finish(this, record, type);
    }

    public void room(int most) {
        room(0, most);
    }

    @Override
    public void room(int least, int most) {
        Room wanted = new Room(least, most);
        if (!room.equals(wanted)) {
            room = wanted;
            client.wakeUp();
        }
    }

    @Override
    public CompletableFuture<Boolean> renew(TakenRecord record) {
        return client.renew(this, record);
    }

    /** Takes over the room that was set last. */
    void applyRoom() {
        Room set = room;
        lanes.hand().room(set.least(), set.most());
    }

    @Override
    public Map<String, String> refusals() {
        return complaints.refusals();
    }

    @Override
    public ShareStatistics statistics() {
        return statistics;
    }

    String group() {
        return group;
    }

    Receiver receiver() {
        return receiver;
    }

    Who who() {
        return new Who(group, member, lanes.id());
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

    Cluster.Coordinator coordinator() {
        return coordinator;
    }

    void coordinator(Cluster.Coordinator found) {
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
        return complaints.isNews(complaint);
    }

    Complaints complaints() {
        return complaints;
    }

    void publish() {
        statistics = ShareStatistics.of(
                lanes.hand().counts(), lanes.hand().held(), lanes.lanes().size());
    }
}
