package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.BrokerCode;
import dev.penstock.kafka.share.lane.Lane;
import dev.penstock.kafka.share.lane.LaneStep;
import dev.penstock.kafka.share.lane.TopicLanes;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jboss.logging.Logger;

/** Metadata and memberships of all topics, over one connection for each broker. It belongs to the client's thread. */
final class GroupControl {
    static final long CONNECTING_MILLIS = 20;

    /** The name of Kafka's error. A topic that the client may not describe is absent too. */
    private static final String NO_TOPIC = "UNKNOWN_TOPIC_OR_PARTITION";

    private static final Logger LOG = Logger.getLogger(GroupControl.class);

    private final Cluster cluster;
    private final Map<Integer, Wire.Peer> control = new HashMap<>();
    /** The last login that a broker refused; empty after an answer. */
    private String lastRefusal = "";

    GroupControl(Cluster cluster) {
        this.cluster = cluster;
    }

    /** All connections are gone. */
    void restart(long now) {
        control.clear();
        cluster.onFailure(now);
    }

    /** Sends the last heartbeat when it is due. */
    void leave(Wire open, Subscription subscription, long now) {
        if (subscription.membership().need(now) instanceof Membership.Need.Heartbeat(int epoch)) {
            var _ = beat(open, subscription, epoch, now);
        }
    }

    long askForMetadata(Wire open, Collection<Subscription> subscriptions, long now) {
        Set<String> topics = new HashSet<>();
        for (Subscription subscription : subscriptions) {
            topics.add(subscription.topic());
            if (subscription.lanes().lanes().isEmpty() && subscription.isNews("new")) {
                cluster.askNow(now);
            }
        }
        if (now < cluster.askAt() || topics.isEmpty()) {
            return cluster.askAt();
        }
        Wire.Peer peer = anyBroker(open);
        if (!open.isReady(peer)) {
            if (open.isDown(peer)) {
                warnOfRefusal(open, peer);
                cluster.onFailure(now);
            }
            return now + CONNECTING_MILLIS;
        }
        cluster.sent();
        open.metadata(peer, topics, view -> {
            if (view == null) {
                cluster.onFailure(ShareClient.now());
            } else {
                onView(open, subscriptions, view);
            }
        });
        return LaneStep.NEVER;
    }

    private Wire.Peer anyBroker(Wire open) {
        List<Integer> order = cluster.order();
        // after some failures in a row, the addresses may all be old
        if (order.isEmpty() || cluster.turn() % (order.size() + 1) == order.size()) {
            return open.first(cluster.turn());
        }
        int broker = order.getFirst();
        Cluster.Address address = cluster.brokers().get(broker);
        return address == null ? open.first(cluster.turn()) : peer(open, control, broker, address);
    }

    /** Returns the connection to a broker, a new one if its address has changed. */
    static Wire.Peer peer(Wire open, Map<Integer, Wire.Peer> peers, int broker, Cluster.Address address) {
        Wire.Peer peer = peers.get(broker);
        if (peer != null
                && (!peer.node().host().equals(address.host()) || peer.node().port() != address.port())) {
            open.close(peer);
            peer = null;
        }
        if (peer == null) {
            peer = open.peer(address);
            peers.put(broker, peer);
        }
        return peer;
    }

    private void onView(Wire open, Collection<Subscription> subscriptions, Cluster.View view) {
        lastRefusal = "";
        cluster.onView(view, ShareClient.now());
        for (Subscription subscription : subscriptions) {
            TopicLanes.View topic = view.topics().get(subscription.topic());
            if (topic == null) {
                subscription.complaints().refused("topic", NO_TOPIC);
                if (subscription.isNews("no topic")) {
                    LOG.warnf("the brokers do not know topic %s", subscription.topic());
                }
                continue;
            }
            subscription.complaints().end("topic");
            for (Lane gone : subscription.lanes().onMetadata(topic)) {
                Wire.Peer peer = subscription.peers().remove(gone.broker());
                if (peer != null) {
                    open.close(peer);
                }
            }
        }
    }

    long keepMembership(Wire open, Subscription subscription, long now) {
        Membership membership = subscription.membership();
        if (subscription.lanes().hand().takeRejoinWanted()) {
            membership.rejoin(now);
            if (!subscription.isOnlyAssigned()) {
                LOG.warnf(
                        "the brokers refuse partitions of %s that they have not assigned: only those are fetched now",
                        subscription.topic());
                subscription.fetchOnlyAssigned();
            }
        }
        if (subscription.isOnlyAssigned()) {
            subscription.lanes().hand().fetchOnly(membership.assigned());
        }
        return switch (membership.need(now)) {
            case Membership.Need.Nothing(long until) -> until;
            case Membership.Need.Coordinator() -> findCoordinator(open, subscription, now);
            case Membership.Need.Heartbeat(int epoch) -> beat(open, subscription, epoch, now);
        };
    }

    private long findCoordinator(Wire open, Subscription subscription, long now) {
        if (cluster.brokers().isEmpty()) {
            return now + CONNECTING_MILLIS;
        }
        Wire.Peer peer = anyBroker(open);
        if (!open.isReady(peer)) {
            if (open.isDown(peer)) {
                cluster.onDown(now);
            }
            return now + CONNECTING_MILLIS;
        }
        subscription.membership().sent();
        open.coordinator(peer, subscription.group(), found -> {
            if (found != null) {
                subscription.coordinator(found);
            }
            subscription.membership().onCoordinator(found != null, ShareClient.now());
        });
        return LaneStep.NEVER;
    }

    private long beat(Wire open, Subscription subscription, int epoch, long now) {
        Cluster.Coordinator coordinator = subscription.coordinator();
        Wire.Peer peer = peer(open, control, coordinator.broker(), coordinator.address());
        Membership membership = subscription.membership();
        if (!open.isReady(peer)) {
            if (open.isDown(peer)) {
                membership.onDisconnected(now);
            }
            return now + CONNECTING_MILLIS;
        }
        membership.sent();
        open.heartbeat(peer, subscription.who(), subscription.topic(), epoch, beat -> {
            if (beat == null) {
                membership.onDisconnected(ShareClient.now());
                return;
            }
            if (!beat.error().isEmpty() && subscription.isNews(beat.error())) {
                LOG.warnf("heartbeat of group %s: %s", subscription.group(), beat.error());
            }
            // a group that a member cannot join is of another kind
            boolean isOther = beat.code() == BrokerCode.MOVED && epoch == Membership.JOINING;
            subscription.complaints().answered("heartbeat", isOther ? BrokerCode.REFUSED : beat.code(), beat.error());
            Set<Integer> assigned = beat.assigned() == null ? membership.assigned() : beat.assigned();
            membership.onHeartbeat(beat.code(), beat.epoch(), beat.intervalMillis(), assigned, ShareClient.now());
        });
        return LaneStep.NEVER;
    }

    private void warnOfRefusal(Wire open, Wire.Peer peer) {
        String refusal = open.refusal(peer);
        if (!refusal.isEmpty() && !refusal.equals(lastRefusal)) {
            lastRefusal = refusal;
            LOG.warnf(
                    "%s:%d refuses the login: %s",
                    peer.node().host(), peer.node().port(), refusal);
        }
    }
}
