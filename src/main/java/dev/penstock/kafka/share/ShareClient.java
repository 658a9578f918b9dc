package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.Acknowledgement;
import dev.penstock.kafka.share.lane.Lane;
import dev.penstock.kafka.share.lane.LaneRequest;
import dev.penstock.kafka.share.lane.LaneStep;
import dev.penstock.kafka.share.lane.ShareOptions;
import dev.penstock.kafka.share.lane.SharedRoom;
import dev.penstock.kafka.share.lane.TakenRecord;
import dev.penstock.kafka.share.lane.TopicLanes;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Takes records from share groups, one record at a time, on one thread for all topics. Each topic is one member of its
 * group, and fetches every partition. Only the methods that say so are for other threads.
 */
public final class ShareClient implements ShareTopics {
    private static final Logger LOG = Logger.getLogger(ShareClient.class);
    private static final long LONGEST_POLL_MILLIS = 1_000;
    private static final long RESTART_MILLIS = 1_000;
    private static final int LEAST_TIMEOUT_MILLIS = 2_000;

    private final Map<String, Object> properties;
    private final ShareOptions options;
    private final Duration leaving;
    private final Answers answers;
    private final Cluster cluster;
    private final List<Subscription> subscriptions = new CopyOnWriteArrayList<>();
    private final ConcurrentLinkedQueue<Message> inbox = new ConcurrentLinkedQueue<>();
    private final AtomicBoolean signalled = new AtomicBoolean();
    private final GroupControl control;
    private final SharedRoom shared = new SharedRoom();
    private final Thread thread;
    private volatile @Nullable Wire wire;
    private volatile boolean closing;
    private volatile boolean ended;
    private long publishedAt;

    private final List<Message.Renewal> renewals = new ArrayList<>();

    /** What other threads ask of the client's thread. */
    private sealed interface Message {
        /** The job of the record has ended. */
        record Finished(Subscription subscription, TakenRecord record, Acknowledgement type) implements Message {}

        /** @param renewed completed with whether the lock still holds */
        record Renewal(Subscription subscription, TakenRecord record, CompletableFuture<Boolean> renewed)
                implements Message {}
    }

    /**
     * @param properties the settings of any Kafka client; unknown ones are ignored
     * @param leaving how long {@link #close} may take
     */
    public ShareClient(Map<String, Object> properties, ShareOptions options, Duration leaving) {
        this.properties = Map.copyOf(properties);
        this.options = options;
        this.leaving = leaving;
        answers = new Answers(options);
        cluster = new Cluster(options.metadataAge().toMillis());
        control = new GroupControl(cluster);
        // it goes on after an exception; the owner asks isAlive
        thread = Thread.ofPlatform().daemon().name("share-client").unstarted(this::run);
    }

    @Override
    public Subscription subscribe(String topic, String group, Receiver receiver, int rank) {
        Subscription subscription = new Subscription(this, topic, group, receiver, options, shared, rank);
        subscriptions.add(subscription);
        wakeUp();
        return subscription;
    }

    @Override
    public void room(int most) {
        shared.most(most);
        wakeUp();
    }

    @Override
    public void start() {
        thread.start();
    }

    @Override
    public boolean isAlive() {
        return thread.isAlive();
    }

    @Override
    public void close() {
        closing = true;
        wakeUp();
        try {
            thread.join(leaving.plusSeconds(1));
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    void finish(Subscription subscription, TakenRecord record, Acknowledgement type) {
        inbox.add(new Message.Finished(subscription, record, type));
        wakeUp();
    }

    CompletableFuture<Boolean> renew(Subscription subscription, TakenRecord record) {
        CompletableFuture<Boolean> renewed = new CompletableFuture<>();
        inbox.add(new Message.Renewal(subscription, record, renewed));
        if (ended) {
            refuseRenewals();
        }
        wakeUp();
        return renewed;
    }

    void wakeUp() {
        Wire open = wire;
        if (open != null && !signalled.getAndSet(true)) {
            open.wakeUp();
        }
    }

    /** Milliseconds of a clock that never goes back. They are positive, also if {@link System#nanoTime} is not. */
    static long now() {
        return (System.nanoTime() + (1L << 62)) / 1_000_000;
    }

    // ---- the loop

    private void run() {
        try (answers) {
            while (!closing) {
                try (Wire open = new Wire(properties)) {
                    wire = open;
                    while (!closing) {
                        open.poll(step(open));
                    }
                    leave(open);
                } catch (RuntimeException | Error e) {
                    LOG.error("the share client failed, and starts again: " + e, e);
                    restart();
                } finally {
                    wire = null;
                }
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        } finally {
            ended = true;
            loseAll();
        }
    }

    /** The records that are still in flight belong to others now. */
    private void loseAll() {
        for (Subscription subscription : subscriptions) {
            subscription.lanes().loseAll("the client has closed");
            Answers.tellLosses(subscription);
        }
        renewals.forEach(renewal -> renewal.renewed().complete(false));
        renewals.clear();
        refuseRenewals();
    }

    private void refuseRenewals() {
        Message message;
        while ((message = inbox.poll()) != null) {
            if (message instanceof Message.Renewal renewal) {
                renewal.renewed().complete(false);
            }
        }
    }

    /** All connections are gone. What runs goes on, and the next sessions ask for it. */
    private void restart() throws InterruptedException {
        control.restart(now());
        for (Subscription subscription : subscriptions) {
            subscription.peers().clear();
            subscription.membership().onDisconnected(now());
            subscription.lanes().lanes().forEach(Lane::onDisconnected);
        }
        Thread.sleep(RESTART_MILLIS);
    }

    /** @return how long there is nothing to do, unless something comes */
    private long step(Wire open) {
        long now = now();
        takeMessages();
        answerRenewals();
        long due = control.askForMetadata(open, subscriptions, now);
        for (Subscription subscription : subscriptions) {
            subscription.applyRoom();
            due = Math.min(due, control.keepMembership(open, subscription, now));
            due = Math.min(due, serveLanes(open, subscription, now));
            if (subscription.lanes().hand().takeMetadataWanted()) {
                cluster.askSoon(now);
            }
        }
        publish(now);
        return Math.clamp(Math.min(due, cluster.askAt()) - now, 0, LONGEST_POLL_MILLIS);
    }

    private void takeMessages() {
        signalled.set(false);
        Message message;
        while ((message = inbox.poll()) != null) {
            switch (message) {
                case Message.Finished(Subscription subscription, TakenRecord record, Acknowledgement type) -> {
                    var _ = subscription.lanes().finish(record, type);
                }
                case Message.Renewal renewal -> {
                    renewal.subscription().lanes().renew(renewal.record());
                    renewals.add(renewal);
                }
            }
        }
    }

    private void answerRenewals() {
        renewals.removeIf(renewal -> {
            Boolean renewed = renewal.subscription().lanes().isRenewed(renewal.record());
            return renewed != null && renewal.renewed().complete(renewed);
        });
    }

    private void publish(long now) {
        if (now - publishedAt >= LONGEST_POLL_MILLIS / 4) {
            publishedAt = now;
            subscriptions.forEach(Subscription::publish);
        }
    }

    // ---- lanes

    private long serveLanes(Wire open, Subscription subscription, long now) {
        TopicLanes lanes = subscription.lanes();
        long due = LaneStep.NEVER;
        for (Lane lane : lanes.order(now)) {
            if (!lane.isWaiting()) {
                due = Math.min(due, serve(open, subscription, lane, now));
            }
        }
        Answers.tellLosses(subscription);
        return due;
    }

    private long serve(Wire open, Subscription subscription, Lane lane, long now) {
        Cluster.Address address = cluster.brokers().get(lane.broker());
        if (address == null) {
            return now + GroupControl.CONNECTING_MILLIS;
        }
        Wire.Peer before = subscription.peers().get(lane.broker());
        Wire.Peer peer = GroupControl.peer(open, subscription.peers(), lane.broker(), address);
        boolean lost = before != null && (!before.equals(peer) || open.isDown(peer));
        if (lost && lane.state() != Lane.State.CLOSED) {
            lane.onDisconnected();
        }
        if (!open.isReady(peer)) {
            if (open.isDown(peer)) {
                cluster.askSoon(now);
            }
            return now + GroupControl.CONNECTING_MILLIS;
        }
        return switch (subscription.lanes().step(lane, now)) {
            case LaneStep.Idle(long until) -> until;
            case LaneStep.Send(LaneRequest request) -> {
                // a stalled connection must end early enough to save the locks
                int timeout = Math.max(
                        LEAST_TIMEOUT_MILLIS, subscription.lanes().hand().lockMillis() / 3);
                open.lane(
                        peer,
                        subscription.who(),
                        request,
                        options.fetchBytes(),
                        timeout,
                        answer -> answers.read(subscription, lane, request, answer, closing));
                yield LaneStep.NEVER;
            }
        };
    }

    // ---- the end

    private void leave(Wire open) {
        long end = now() + leaving.toMillis();
        takeMessages();
        for (Subscription subscription : subscriptions) {
            subscription.lanes().hand().room(0, 0);
            subscription.lanes().lanes().forEach(Lane::close);
        }
        long left = now();
        while (left < end && !haveClosed()) {
            takeMessages();
            for (Subscription subscription : subscriptions) {
                serveClosing(open, subscription, left);
            }
            open.poll(GroupControl.CONNECTING_MILLIS);
            left = now();
        }
        for (Subscription subscription : subscriptions) {
            subscription.membership().leave(left);
        }
        while (left < end
                && !subscriptions.stream().allMatch(one -> one.membership().hasLeft())) {
            for (Subscription subscription : subscriptions) {
                control.leave(open, subscription, left);
            }
            open.poll(GroupControl.CONNECTING_MILLIS);
            left = now();
        }
        subscriptions.forEach(Subscription::publish);
    }

    private void serveClosing(Wire open, Subscription subscription, long now) {
        for (Lane lane : subscription.lanes().lanes()) {
            if (!lane.isWaiting() && !lane.isGone()) {
                var _ = serve(open, subscription, lane, now);
            }
        }
    }

    private boolean haveClosed() {
        return subscriptions.stream()
                .allMatch(one -> one.lanes().lanes().stream().allMatch(Lane::isGone));
    }
}
