package dev.penstock.kafka.share;

import dev.penstock.kafka.share.LaneAnswer.Acknowledged;
import dev.penstock.kafka.share.LaneAnswer.Fetched;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Takes records from share groups, one record at a time, on one thread for all topics. Each topic is one member of its
 * group, and fetches every partition. Only the methods that say so are for other threads.
 */
public final class ShareClient implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(ShareClient.class);
    private static final long LONGEST_POLL_MILLIS = 1_000;
    private static final long RESTART_MILLIS = 1_000;
    private static final int LEAST_TIMEOUT_MILLIS = 2_000;

    private final Map<String, Object> properties;
    private final ShareOptions options;
    private final Duration leaving;
    private final BatchReader reader;
    private final Cluster cluster;
    private final List<Subscription> subscriptions = new CopyOnWriteArrayList<>();
    private final ConcurrentLinkedQueue<Finished> inbox = new ConcurrentLinkedQueue<>();
    private final AtomicBoolean signalled = new AtomicBoolean();
    private final GroupControl control;
    private final Thread thread;
    private volatile @Nullable Wire wire;
    private volatile boolean closing;
    private long publishedAt;

    private record Finished(Subscription subscription, TakenRecord record, Acknowledgement type) {}

    /**
     * @param properties the settings of any Kafka client; unknown ones are ignored
     * @param leaving how long {@link #close} may take
     */
    public ShareClient(Map<String, Object> properties, ShareOptions options, Duration leaving) {
        this.properties = Map.copyOf(properties);
        this.options = options;
        this.leaving = leaving;
        reader = new BatchReader(options.mostValue(), options.mostValues());
        cluster = new Cluster(options.metadataAge().toMillis());
        control = new GroupControl(cluster);
        thread = Thread.ofPlatform().daemon().name("share-client").unstarted(this::run);
    }

    /**
     * Takes records of one more topic; from any thread.
     *
     * @param room how many records may be in hand
     */
    public Subscription subscribe(String topic, String group, Receiver receiver, int room) {
        Subscription subscription = new Subscription(this, topic, group, receiver, options, room);
        subscriptions.add(subscription);
        wakeUp();
        return subscription;
    }

    public void start() {
        thread.start();
    }

    /** Returns whether the client's thread runs. */
    public boolean isAlive() {
        return thread.isAlive();
    }

    /** Acknowledges what is known, gives back the rest, and leaves the groups; from any thread. */
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
        inbox.add(new Finished(subscription, record, type));
        wakeUp();
    }

    void wakeUp() {
        Wire open = wire;
        if (open != null && !signalled.getAndSet(true)) {
            open.wakeUp();
        }
    }

    /** Milliseconds of a clock that never goes back. */
    static long now() {
        return System.nanoTime() / 1_000_000;
    }

    // ---- the loop

    private void run() {
        try (reader) {
            while (!closing) {
                try (Wire open = new Wire(properties)) {
                    wire = open;
                    while (!closing) {
                        open.poll(step(open));
                    }
                    leave(open);
                } catch (RuntimeException e) {
                    LOG.error("the share client failed, and starts again: " + e, e);
                    restart();
                } finally {
                    wire = null;
                }
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
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
        noteFinished();
        long due = control.askForMetadata(open, subscriptions, now);
        for (Subscription subscription : subscriptions) {
            subscription.lanes().hand().room(subscription.room());
            due = Math.min(due, control.keepMembership(open, subscription, now));
            due = Math.min(due, serveLanes(open, subscription, now));
            if (subscription.lanes().hand().takeMetadataWanted()) {
                cluster.askSoon(now);
            }
        }
        publish(now);
        return Math.clamp(Math.min(due, cluster.askAt()) - now, 0, LONGEST_POLL_MILLIS);
    }

    private void noteFinished() {
        signalled.set(false);
        Finished finished;
        while ((finished = inbox.poll()) != null) {
            var _ = finished.subscription().lanes().finish(finished.record(), finished.type());
        }
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
        for (Lane lane : lanes.order()) {
            if (!lane.isWaiting()) {
                due = Math.min(due, serve(open, subscription, lane, now));
            }
        }
        tellLosses(subscription);
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
                        answer -> onAnswer(subscription, lane, answer));
                yield LaneStep.NEVER;
            }
        };
    }

    private void onAnswer(Subscription subscription, Lane lane, @Nullable LaneAnswer answer) {
        if (answer == null) {
            lane.onDisconnected();
            return;
        }
        if (answer.code() != BrokerCode.NONE && subscription.isNews(answer.error())) {
            LOG.warnf("share session for %s with broker %d: %s", subscription.topic(), lane.broker(), answer.error());
        }
        switch (answer) {
            case Acknowledged acknowledged -> lane.onAcknowledged(acknowledged, now());
            case Fetched fetched -> {
                reader.begin();
                for (LaneAnswer.PartitionFetched partition : fetched.partitions()) {
                    if (partition.code() != BrokerCode.NONE && subscription.isNews(partition.error())) {
                        LOG.warnf("fetch of %s-%d: %s", subscription.topic(), partition.partition(), partition.error());
                    }
                }
                for (Lane.Unread unread : lane.onFetched(fetched, now())) {
                    // while closing, the end of the session gives the records back
                    if (!closing) {
                        read(subscription, lane, unread);
                    }
                }
            }
        }
    }

    private void read(Subscription subscription, Lane lane, Lane.Unread unread) {
        TopicLanes lanes = subscription.lanes();
        int partition = unread.from().partition();
        lanes.hand().counts().bytes += unread.from().records().remaining();
        reader.read(
                subscription.topic(), partition, unread.from().records(), unread.deliveries(), new BatchReader.Sink() {
                    @Override
                    public void read(ConsumerRecord<byte[], byte[]> record) {
                        take(subscription, lane, record);
                    }

                    @Override
                    public void unread(long offset, Acknowledgement type, String why) {
                        lanes.hand().partition(partition).acks().add(offset, type);
                        if (type == Acknowledgement.REJECT) {
                            lanes.hand().counts().damaged++;
                            LOG.errorf("record %s-%d@%d is rejected: %s", subscription.topic(), partition, offset, why);
                            tell(() -> subscription.receiver().damaged(partition, offset, why));
                        } else {
                            lanes.hand().counts().gaps++;
                        }
                    }
                });
    }

    private void take(Subscription subscription, Lane lane, ConsumerRecord<byte[], byte[]> record) {
        int deliveries = record.deliveryCount().orElse((short) 1);
        TakenRecord taken = new TakenRecord(record, deliveries, lane.lockedUntil());
        TopicLanes lanes = subscription.lanes();
        lanes.hold(lane, taken);
        if (record.value() == null && record.serializedValueSize() > 0) {
            lanes.hand().counts().oversized++;
        }
        if (!tell(() -> subscription.receiver().taken(taken))) {
            var _ = lanes.finish(taken, Acknowledgement.RELEASE);
        }
    }

    private void tellLosses(Subscription subscription) {
        for (TopicHand.Loss loss : subscription.lanes().hand().takeLosses()) {
            LOG.infof("the lock of %s is lost: %s", loss.record(), loss.why());
            tell(() -> subscription.receiver().lost(loss.record(), loss.why()));
        }
    }

    /** @return whether the receiver took it */
    private static boolean tell(Runnable call) {
        try {
            call.run();
            return true;
        } catch (RuntimeException e) {
            LOG.error("the receiver of a share topic failed: " + e, e);
            return false;
        }
    }

    // ---- the end

    private void leave(Wire open) {
        long end = now() + leaving.toMillis();
        noteFinished();
        for (Subscription subscription : subscriptions) {
            subscription.lanes().hand().room(0);
            subscription.lanes().lanes().forEach(Lane::close);
        }
        long left = now();
        while (left < end && !haveClosed()) {
            noteFinished();
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
