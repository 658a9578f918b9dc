package dev.penstock.kafka.share;

import dev.penstock.kafka.share.LaneAnswer.Acknowledged;
import dev.penstock.kafka.share.LaneAnswer.Acquired;
import dev.penstock.kafka.share.LaneAnswer.Fetched;
import dev.penstock.kafka.share.LaneAnswer.PartitionFetched;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.kafka.clients.ApiVersions;
import org.apache.kafka.clients.ClientResponse;
import org.apache.kafka.clients.ClientUtils;
import org.apache.kafka.clients.DefaultHostResolver;
import org.apache.kafka.clients.ManualMetadataUpdater;
import org.apache.kafka.clients.NetworkClient;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.FindCoordinatorRequestData;
import org.apache.kafka.common.message.FindCoordinatorResponseData;
import org.apache.kafka.common.message.MetadataResponseData;
import org.apache.kafka.common.message.ShareAcknowledgeRequestData;
import org.apache.kafka.common.message.ShareAcknowledgeResponseData;
import org.apache.kafka.common.message.ShareFetchRequestData;
import org.apache.kafka.common.message.ShareFetchResponseData;
import org.apache.kafka.common.message.ShareGroupHeartbeatRequestData;
import org.apache.kafka.common.message.ShareGroupHeartbeatResponseData;
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

    private final Metrics metrics = new Metrics();
    private final NetworkClient client;
    private final int timeoutMillis;
    private final List<Node> bootstrap = new ArrayList<>();
    private int lastNode;

    /** The end of one connection. A broker has several. */
    record Peer(Node node, String host, int port) {}

    /** One member's session: whose it is. */
    record Membered(String group, String member, Uuid topic) {}

    /** The coordinator of a group; null if it is not known. */
    record Coordinator(int broker, Cluster.Address address) {}

    /** @param assigned null: no change */
    record Beat(
            BrokerCode code,
            String error,
            int epoch,
            int intervalMillis,
            @Nullable Set<Integer> assigned) {}

    Wire(Map<String, Object> properties) {
        Map<String, Object> own = new HashMap<>(properties);
        own.keySet().retainAll(AdminClientConfig.configNames());
        AdminClientConfig config = new AdminClientConfig(own);
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
        return new Peer(new Node(++lastNode, address.host(), address.port()), address.host(), address.port());
    }

    /** Returns one of the addresses that the user gave. */
    Peer first(int turn) {
        Node node = bootstrap.get(Math.floorMod(turn, bootstrap.size()));
        return new Peer(node, node.host(), node.port());
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

    private void send(
            Peer peer, AbstractRequest.Builder<?> request, int mostMillis, Consumer<ClientResponse> onAnswer) {
        long now = Time.SYSTEM.milliseconds();
        int timeout = Math.min(mostMillis, timeoutMillis);
        client.send(
                client.newClientRequest(peer.node().idString(), request, now, true, timeout, onAnswer::accept), now);
    }

    // ---- requests; an answer of null means that none came

    void metadata(Peer peer, Collection<String> topics, Consumer<Cluster.@Nullable View> onView) {
        send(
                peer,
                MetadataRequest.Builder.forTopicNames(List.copyOf(topics), false),
                timeoutMillis,
                answer -> onView.accept(answer.hasResponse() ? view(answer, topics.size()) : null));
    }

    private static Cluster.View view(ClientResponse answer, int topics) {
        MetadataResponseData data = ((MetadataResponse) answer.responseBody()).data();
        Map<Integer, Cluster.Address> brokers = new HashMap<>();
        data.brokers()
                .forEach(broker -> brokers.put(broker.nodeId(), new Cluster.Address(broker.host(), broker.port())));
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

    void coordinator(Peer peer, String group, Consumer<@Nullable Coordinator> onFound) {
        FindCoordinatorRequestData data = new FindCoordinatorRequestData()
                .setKeyType(FindCoordinatorRequest.CoordinatorType.GROUP.id())
                .setCoordinatorKeys(List.of(group));
        send(peer, new FindCoordinatorRequest.Builder(data), timeoutMillis, answer -> {
            Coordinator found = null;
            if (answer.hasResponse()) {
                for (FindCoordinatorResponseData.Coordinator one :
                        ((FindCoordinatorResponse) answer.responseBody()).data().coordinators()) {
                    if (one.errorCode() == Errors.NONE.code()) {
                        found = new Coordinator(one.nodeId(), new Cluster.Address(one.host(), one.port()));
                    }
                }
            }
            onFound.accept(found);
        });
    }

    void heartbeat(Peer peer, Membered who, String topic, int epoch, Consumer<@Nullable Beat> onBeat) {
        ShareGroupHeartbeatRequestData data = new ShareGroupHeartbeatRequestData()
                .setGroupId(who.group())
                .setMemberId(who.member())
                .setMemberEpoch(epoch);
        if (epoch == Membership.JOINING) {
            data.setSubscribedTopicNames(List.of(topic));
        }
        send(peer, new ShareGroupHeartbeatRequest.Builder(data), timeoutMillis, answer -> {
            if (answer.versionMismatch() != null) {
                onBeat.accept(new Beat(BrokerCode.REFUSED, "UNSUPPORTED_VERSION", 0, 0, null));
                return;
            }
            if (!answer.hasResponse()) {
                onBeat.accept(null);
                return;
            }
            ShareGroupHeartbeatResponseData beat = ((ShareGroupHeartbeatResponse) answer.responseBody()).data();
            Set<Integer> assigned = null;
            if (beat.assignment() != null) {
                assigned = new HashSet<>();
                for (var partitions : beat.assignment().topicPartitions()) {
                    assigned.addAll(partitions.partitions());
                }
            }
            onBeat.accept(new Beat(
                    code(beat.errorCode()),
                    name(beat.errorCode(), beat.errorMessage()),
                    beat.memberEpoch(),
                    beat.heartbeatIntervalMs(),
                    assigned));
        });
    }

    /** @param timeoutMillis a connection without an answer after this time is closed; a fetch also has its wait */
    void lane(
            Peer peer,
            Membered who,
            LaneRequest request,
            int fetchBytes,
            int timeoutMillis,
            Consumer<@Nullable LaneAnswer> onAnswer) {
        switch (request) {
            case LaneRequest.Fetch fetch ->
                send(peer, builder(who, fetch, fetchBytes), timeoutMillis + fetch.waitMillis(), answer -> {
                    if (answer.versionMismatch() != null) {
                        onAnswer.accept(new Fetched(BrokerCode.REFUSED, "UNSUPPORTED_VERSION", 0, 0, List.of()));
                    } else {
                        onAnswer.accept(answer.hasResponse() ? fetched(answer) : null);
                    }
                });
            case LaneRequest.Acknowledge acknowledge ->
                send(peer, builder(who, acknowledge), timeoutMillis, answer -> {
                    if (answer.versionMismatch() != null) {
                        onAnswer.accept(new Acknowledged(BrokerCode.REFUSED, "UNSUPPORTED_VERSION", 0, 0, Map.of()));
                    } else {
                        onAnswer.accept(answer.hasResponse() ? acknowledged(answer) : null);
                    }
                });
        }
    }

    private static ShareFetchRequest.Builder builder(Membered who, LaneRequest.Fetch fetch, int fetchBytes) {
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
                one.setAcknowledgementBatches(group.ranges().stream()
                        .map(range -> new ShareFetchRequestData.AcknowledgementBatch()
                                .setFirstOffset(range.first())
                                .setLastOffset(range.last())
                                .setAcknowledgeTypes(List.of(range.type().code())))
                        .toList());
            }
            partitions.add(one);
        }
        if (!partitions.isEmpty()) {
            data.topics()
                    .add(new ShareFetchRequestData.FetchTopic()
                            .setTopicId(who.topic())
                            .setPartitions(partitions));
        }
        if (!fetch.forgotten().isEmpty() && fetch.epoch() != LaneRequest.OPENING) {
            data.forgottenTopicsData()
                    .add(new ShareFetchRequestData.ForgottenTopic()
                            .setTopicId(who.topic())
                            .setPartitions(List.copyOf(fetch.forgotten())));
        }
        return new ShareFetchRequest.Builder(data);
    }

    private static ShareAcknowledgeRequest.Builder builder(Membered who, LaneRequest.Acknowledge acknowledge) {
        ShareAcknowledgeRequestData data = new ShareAcknowledgeRequestData()
                .setGroupId(who.group())
                .setMemberId(who.member())
                .setShareSessionEpoch(acknowledge.epoch())
                .setIsRenewAck(acknowledge.renewing());
        var partitions = new ShareAcknowledgeRequestData.AcknowledgePartitionCollection();
        acknowledge
                .acks()
                .forEach((partition, group) -> partitions.add(new ShareAcknowledgeRequestData.AcknowledgePartition()
                        .setPartitionIndex(partition)
                        .setAcknowledgementBatches(group.ranges().stream()
                                .map(range -> new ShareAcknowledgeRequestData.AcknowledgementBatch()
                                        .setFirstOffset(range.first())
                                        .setLastOffset(range.last())
                                        .setAcknowledgeTypes(
                                                List.of(range.type().code())))
                                .toList())));
        if (!partitions.isEmpty()) {
            data.topics()
                    .add(new ShareAcknowledgeRequestData.AcknowledgeTopic()
                            .setTopicId(who.topic())
                            .setPartitions(partitions));
        }
        return new ShareAcknowledgeRequest.Builder(data);
    }

    private static Fetched fetched(ClientResponse answer) {
        ShareFetchResponseData data = ((ShareFetchResponse) answer.responseBody()).data();
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

    private static Acknowledged acknowledged(ClientResponse answer) {
        ShareAcknowledgeResponseData data = ((ShareAcknowledgeResponse) answer.responseBody()).data();
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
