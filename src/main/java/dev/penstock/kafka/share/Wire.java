package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.AckGroup;
import dev.penstock.kafka.share.lane.BrokerCode;
import dev.penstock.kafka.share.lane.LaneAnswer;
import dev.penstock.kafka.share.lane.LaneAnswer.Acknowledged;
import dev.penstock.kafka.share.lane.LaneAnswer.Acquired;
import dev.penstock.kafka.share.lane.LaneAnswer.Fetched;
import dev.penstock.kafka.share.lane.LaneAnswer.PartitionFetched;
import dev.penstock.kafka.share.lane.LaneRequest;
import dev.penstock.kafka.share.lane.TopicLanes;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import org.apache.kafka.clients.ApiVersions;
import org.apache.kafka.clients.ClientResponse;
import org.apache.kafka.clients.ClientUtils;
import org.apache.kafka.clients.DefaultHostResolver;
import org.apache.kafka.clients.ManualMetadataUpdater;
import org.apache.kafka.clients.NetworkClient;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.message.FindCoordinatorRequestData;
import org.apache.kafka.common.message.ShareAcknowledgeRequestData;
import org.apache.kafka.common.message.ShareFetchRequestData;
import org.apache.kafka.common.message.ShareGroupHeartbeatRequestData;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.requests.AbstractRequest;
import org.apache.kafka.common.requests.FindCoordinatorRequest;
import org.apache.kafka.common.requests.FindCoordinatorResponse;
import org.apache.kafka.common.requests.MetadataRequest;
import org.apache.kafka.common.requests.MetadataResponse;
import org.apache.kafka.common.requests.ShareAcknowledgeRequest;
import org.apache.kafka.common.requests.ShareAcknowledgeResponse;
import org.apache.kafka.common.requests.ShareFetchRequest;
import org.apache.kafka.common.requests.ShareFetchResponse;
import org.apache.kafka.common.requests.ShareGroupHeartbeatRequest;
import org.apache.kafka.common.requests.ShareGroupHeartbeatResponse;
import org.apache.kafka.common.utils.LogContext;
import org.apache.kafka.common.utils.Time;
import org.jspecify.annotations.Nullable;

/**
 * The connections, and the requests as Kafka writes them. All security settings work as in Kafka's own clients. This is
 * the only file that uses Kafka's network and request classes, which are internal to Kafka. It belongs to one thread,
 * except {@link #wakeUp}.
 */
final class Wire implements AutoCloseable {
    /** A lane has one request in flight; a control connection has one of each kind. */
    private static final int MOST_IN_FLIGHT = 100;

    private static final byte RECORD_LIMIT = 1;
    private static final String UNSUPPORTED = Errors.UNSUPPORTED_VERSION.name();
    private static final LaneAnswer TOO_OLD = new Acknowledged(BrokerCode.REFUSED, UNSUPPORTED, 0, 0, Map.of());

    private final Metrics metrics = new Metrics();
    private final NetworkClient client;
    private final int timeoutMillis;
    private final List<Node> bootstrap = new ArrayList<>();
    private int lastNode;

    /** The end of one connection. A broker has several. */
    record Peer(Node node) {}

    Wire(Map<String, Object> properties) {
        AdminClientConfig config = new AdminClientConfig(properties);
        timeoutMillis = config.getInt(AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG);
        for (InetSocketAddress address : ClientUtils.parseAndValidateAddresses(config)) {
            bootstrap.add(new Node(--lastNode, address.getHostString(), address.getPort()));
        }
        lastNode = 0;
        client = ClientUtils.createNetworkClient(
                config,
                config.getString(AdminClientConfig.CLIENT_ID_CONFIG),
                metrics,
                "share-client",
                new LogContext("[share client] "),
                new ApiVersions(),
                Time.SYSTEM,
                MOST_IN_FLIGHT,
                timeoutMillis,
                null,
                new ManualMetadataUpdater(),
                new DefaultHostResolver(),
                null,
                null);
    }

    /** Returns a peer for one more connection. */
    Peer peer(Cluster.Address address) {
        return new Peer(new Node(++lastNode, address.host(), address.port()));
    }

    /** Returns an address that the user gave. */
    Peer first(int turn) {
        return new Peer(bootstrap.get(Math.floorMod(turn, bootstrap.size())));
    }

    /** Returns whether a request can leave now. Opens the connection if there is none. */
    boolean isReady(Peer peer) {
        return client.ready(peer.node(), Time.SYSTEM.milliseconds());
    }

    /** Returns whether the connection was lost, or could not be opened. */
    boolean isDown(Peer peer) {
        return client.connectionFailed(peer.node());
    }

    /** Returns why the broker refused the login; empty if it did not. */
    String refusal(Peer peer) {
        var failure = client.authenticationException(peer.node());
        return failure == null ? "" : String.valueOf(failure.getMessage());
    }

    /** Closes a connection. The requests on it end without an answer, in the next poll. */
    void close(Peer peer) {
        client.disconnect(peer.node().idString());
    }

    /** Waits for answers, at most this long, and passes them on. */
    void poll(long waitMillis) {
        client.poll(waitMillis, Time.SYSTEM.milliseconds());
    }

    /** Ends the wait; from any thread. */
    void wakeUp() {
        client.wakeup();
    }

    /** @param tooOld the answer if the broker does not know the request; null: like none */
    private <T> void send(
            Peer peer,
            AbstractRequest.Builder<?> request,
            int mostMillis,
            Function<ClientResponse, @Nullable T> reading,
            @Nullable T tooOld,
            Consumer<@Nullable T> onAnswer) {
        long now = Time.SYSTEM.milliseconds();
        int timeout = Math.min(mostMillis, timeoutMillis);
        client.send(
                client.newClientRequest(peer.node().idString(), request, now, true, timeout, answer -> {
                    T none = answer.versionMismatch() == null ? null : tooOld;
                    onAnswer.accept(answer.hasResponse() ? reading.apply(answer) : none);
                }),
                now);
    }

    // ---- requests; an answer of null means that none came

    void metadata(Peer peer, Collection<String> topics, Consumer<Cluster.@Nullable View> onView) {
        var request = MetadataRequest.Builder.forTopicNames(List.copyOf(topics), false);
        send(peer, request, timeoutMillis, answer -> view(answer, topics.size()), null, onView);
    }

    private static Cluster.View view(ClientResponse answer, int topics) {
        var data = ((MetadataResponse) answer.responseBody()).data();
        Map<Integer, Cluster.Address> brokers = new HashMap<>();
        for (var broker : data.brokers()) {
            brokers.put(broker.nodeId(), new Cluster.Address(broker.host(), broker.port()));
        }
        Map<String, TopicLanes.View> views = new HashMap<>();
        boolean complete = true;
        for (var topic : data.topics()) {
            if (topic.errorCode() != Errors.NONE.code()) {
                continue;
            }
            Map<Integer, Integer> leaders = new HashMap<>();
            for (var partition : topic.partitions()) {
                if (brokers.containsKey(partition.leaderId())) {
                    leaders.put(partition.partitionIndex(), partition.leaderId());
                } else {
                    complete = false;
                }
            }
            views.put(topic.name(), new TopicLanes.View(topic.topicId(), leaders));
        }
        return new Cluster.View(brokers, views, complete && views.size() == topics);
    }

    void coordinator(Peer peer, String group, Consumer<Cluster.@Nullable Coordinator> onFound) {
        FindCoordinatorRequestData data = new FindCoordinatorRequestData()
                .setKeyType(FindCoordinatorRequest.CoordinatorType.GROUP.id())
                .setCoordinatorKeys(List.of(group));
        var request = new FindCoordinatorRequest.Builder(data);
        send(peer, request, timeoutMillis, Wire::found, null, onFound);
    }

    private static Cluster.@Nullable Coordinator found(ClientResponse answer) {
        for (var one : ((FindCoordinatorResponse) answer.responseBody()).data().coordinators()) {
            if (one.errorCode() == Errors.NONE.code()) {
                return new Cluster.Coordinator(one.nodeId(), new Cluster.Address(one.host(), one.port()));
            }
        }
        return null;
    }

    void heartbeat(
            Peer peer, Subscription.Who who, String topic, int epoch, Consumer<Membership.@Nullable Beat> onBeat) {
        ShareGroupHeartbeatRequestData data = new ShareGroupHeartbeatRequestData()
                .setGroupId(who.group())
                .setMemberId(who.member())
                .setMemberEpoch(epoch);
        if (epoch == Membership.JOINING) {
            data.setSubscribedTopicNames(List.of(topic));
        }
        Membership.Beat tooOld = new Membership.Beat(BrokerCode.REFUSED, UNSUPPORTED, 0, 0, null);
        send(peer, new ShareGroupHeartbeatRequest.Builder(data), timeoutMillis, Wire::beat, tooOld, onBeat);
    }

    private static Membership.Beat beat(ClientResponse answer) {
        var beat = ((ShareGroupHeartbeatResponse) answer.responseBody()).data();
        Set<Integer> assigned = null;
        if (beat.assignment() != null) {
            assigned = new HashSet<>();
            for (var partitions : beat.assignment().topicPartitions()) {
                assigned.addAll(partitions.partitions());
            }
        }
        return new Membership.Beat(
                code(beat.errorCode()),
                name(beat.errorCode(), beat.errorMessage()),
                beat.memberEpoch(),
                beat.heartbeatIntervalMs(),
                assigned);
    }

    /** @param timeoutMillis a connection without an answer after this time is closed; a fetch also has its wait */
    void lane(
            Peer peer,
            Subscription.Who who,
            LaneRequest request,
            int fetchBytes,
            int timeoutMillis,
            Consumer<@Nullable LaneAnswer> onAnswer) {
        switch (request) {
            case LaneRequest.Fetch fetch -> {
                int most = timeoutMillis + fetch.waitMillis();
                send(peer, builder(who, fetch, fetchBytes), most, Wire::fetched, TOO_OLD, onAnswer);
            }
            case LaneRequest.Acknowledge acknowledge ->
                send(peer, builder(who, acknowledge), timeoutMillis, Wire::acknowledged, TOO_OLD, onAnswer);
        }
    }

    private static ShareFetchRequest.Builder builder(Subscription.Who who, LaneRequest.Fetch fetch, int fetchBytes) {
        ShareFetchRequestData data = new ShareFetchRequestData()
                .setGroupId(who.group())
                .setMemberId(who.member())
                .setShareSessionEpoch(fetch.epoch())
                .setMaxWaitMs(fetch.waitMillis())
                .setMinBytes(1)
                .setMaxBytes(fetchBytes)
                .setMaxRecords(fetch.records())
                .setBatchSize(Math.max(1, fetch.records()))
                .setShareAcquireMode(RECORD_LIMIT);
        var partitions = new ShareFetchRequestData.FetchPartitionCollection();
        Set<Integer> named = new HashSet<>(fetch.added());
        named.addAll(fetch.acks().keySet());
        for (int partition : named) {
            var one = new ShareFetchRequestData.FetchPartition().setPartitionIndex(partition);
            AckGroup group = fetch.acks().get(partition);
            if (group != null) {
                one.setAcknowledgementBatches(batches(group));
            }
            partitions.add(one);
        }
        if (!partitions.isEmpty()) {
            var topic = new ShareFetchRequestData.FetchTopic().setTopicId(who.topic());
            data.topics().add(topic.setPartitions(partitions));
        }
        if (!fetch.forgotten().isEmpty() && fetch.epoch() != LaneRequest.OPENING) {
            var topic = new ShareFetchRequestData.ForgottenTopic().setTopicId(who.topic());
            data.forgottenTopicsData().add(topic.setPartitions(List.copyOf(fetch.forgotten())));
        }
        return new ShareFetchRequest.Builder(data);
    }

    private static ShareAcknowledgeRequest.Builder builder(Subscription.Who who, LaneRequest.Acknowledge acknowledge) {
        ShareAcknowledgeRequestData data = new ShareAcknowledgeRequestData()
                .setGroupId(who.group())
                .setMemberId(who.member())
                .setShareSessionEpoch(acknowledge.epoch())
                .setIsRenewAck(acknowledge.renewing());
        var topic = new ShareAcknowledgeRequestData.AcknowledgeTopic().setTopicId(who.topic());
        acknowledge.acks().forEach((partition, group) -> {
            var one = new ShareAcknowledgeRequestData.AcknowledgePartition().setPartitionIndex(partition);
            for (AckGroup.Range range : group.ranges()) {
                one.acknowledgementBatches()
                        .add(new ShareAcknowledgeRequestData.AcknowledgementBatch()
                                .setFirstOffset(range.first())
                                .setLastOffset(range.last())
                                .setAcknowledgeTypes(List.of(range.type().code())));
            }
            topic.partitions().add(one);
        });
        if (!topic.partitions().isEmpty()) {
            data.topics().add(topic);
        }
        return new ShareAcknowledgeRequest.Builder(data);
    }

    private static List<ShareFetchRequestData.AcknowledgementBatch> batches(AckGroup group) {
        return group.ranges().stream()
                .map(range -> new ShareFetchRequestData.AcknowledgementBatch()
                        .setFirstOffset(range.first())
                        .setLastOffset(range.last())
                        .setAcknowledgeTypes(List.of(range.type().code())))
                .toList();
    }

    private static LaneAnswer fetched(ClientResponse answer) {
        var data = ((ShareFetchResponse) answer.responseBody()).data();
        List<PartitionFetched> partitions = new ArrayList<>();
        for (var topic : data.responses()) {
            for (var one : topic.partitions()) {
                List<Acquired> acquired = new ArrayList<>();
                for (var range : one.acquiredRecords()) {
                    acquired.add(new Acquired(range.firstOffset(), range.lastOffset(), range.deliveryCount()));
                }
                partitions.add(new PartitionFetched(
                        one.partitionIndex(),
                        code(one.errorCode()),
                        name(one.errorCode(), one.errorMessage()),
                        code(one.acknowledgeErrorCode()),
                        acquired,
                        BatchReader.bytes(one.records())));
            }
        }
        return new Fetched(
                code(data.errorCode()),
                name(data.errorCode(), data.errorMessage()),
                data.throttleTimeMs(),
                data.acquisitionLockTimeoutMs(),
                partitions);
    }

    private static LaneAnswer acknowledged(ClientResponse answer) {
        var data = ((ShareAcknowledgeResponse) answer.responseBody()).data();
        Map<Integer, BrokerCode> partitions = new HashMap<>();
        for (var topic : data.responses()) {
            for (var one : topic.partitions()) {
                partitions.put(one.partitionIndex(), code(one.errorCode()));
            }
        }
        return new Acknowledged(
                code(data.errorCode()),
                name(data.errorCode(), data.errorMessage()),
                data.throttleTimeMs(),
                0,
                partitions);
    }

    private static String name(short code, @Nullable String message) {
        return code == Errors.NONE.code() ? "" : Errors.forCode(code) + (message == null ? "" : ": " + message);
    }

    static BrokerCode code(short code) {
        return switch (Errors.forCode(code)) {
            case NONE -> BrokerCode.NONE;
            // the second: a new leader has not handed the offset out at all
            case INVALID_RECORD_STATE, INVALID_REQUEST -> BrokerCode.NOT_OURS;
            case NOT_LEADER_OR_FOLLOWER,
                    UNKNOWN_TOPIC_OR_PARTITION,
                    UNKNOWN_TOPIC_ID,
                    INCONSISTENT_TOPIC_ID,
                    FENCED_LEADER_EPOCH,
                    UNKNOWN_LEADER_EPOCH,
                    FENCED_STATE_EPOCH,
                    GROUP_ID_NOT_FOUND -> BrokerCode.MOVED;
            case SHARE_SESSION_NOT_FOUND, INVALID_SHARE_SESSION_EPOCH -> BrokerCode.SESSION_GONE;
            case SHARE_SESSION_LIMIT_REACHED -> BrokerCode.SESSION_LIMIT;
            case UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, STALE_MEMBER_EPOCH -> BrokerCode.UNKNOWN_MEMBER;
            case GROUP_MAX_SIZE_REACHED -> BrokerCode.MEMBER_LIMIT;
            case NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE -> BrokerCode.NOT_COORDINATOR;
            case TOPIC_AUTHORIZATION_FAILED,
                    GROUP_AUTHORIZATION_FAILED,
                    CLUSTER_AUTHORIZATION_FAILED,
                    UNSUPPORTED_VERSION,
                    INVALID_CONFIG,
                    INVALID_GROUP_ID -> BrokerCode.REFUSED;
            default -> BrokerCode.RETRY;
        };
    }

    @Override
    public void close() {
        client.close();
        metrics.close();
    }
}
