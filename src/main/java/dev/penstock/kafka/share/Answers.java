package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.Acknowledgement;
import dev.penstock.kafka.share.lane.BrokerCode;
import dev.penstock.kafka.share.lane.Lane;
import dev.penstock.kafka.share.lane.LaneAnswer;
import dev.penstock.kafka.share.lane.LaneAnswer.Acknowledged;
import dev.penstock.kafka.share.lane.LaneAnswer.Fetched;
import dev.penstock.kafka.share.lane.LaneRequest;
import dev.penstock.kafka.share.lane.ShareOptions;
import dev.penstock.kafka.share.lane.TakenRecord;
import dev.penstock.kafka.share.lane.TopicHand;
import dev.penstock.kafka.share.lane.TopicLanes;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Reads the brokers' answers for the lanes, and passes records and losses on. It belongs to the client's thread. */
final class Answers implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(ShareClient.class);

    private final BatchReader reader;

    Answers(ShareOptions options) {
        reader = new BatchReader(options.mostValue(), options.mostValues());
    }

    /**
     * @param request the request that is answered
     * @param answer null: none came
     * @param closing whether the end of the session gives all records back
     */
    void read(Subscription subscription, Lane lane, LaneRequest request, @Nullable LaneAnswer answer, boolean closing) {
        if (answer == null) {
            lane.onUnanswered(request);
            return;
        }
        if (answer.code() != BrokerCode.NONE && subscription.isNews(answer.error())) {
            LOG.warnf("share session for %s with broker %d: %s", subscription.topic(), lane.broker(), answer.error());
        }
        subscription.complaints().answered("share session", answer.code(), answer.error());
        switch (answer) {
            case Acknowledged acknowledged -> lane.onAcknowledged(request, acknowledged, ShareClient.now());
            case Fetched fetched -> {
                reader.begin();
                for (LaneAnswer.PartitionFetched partition : fetched.partitions()) {
                    if (subscription
                            .complaints()
                            .isNews(partition.partition(), partition.code(), partition.error(), ShareClient.now())) {
                        LOG.warnf("fetch of %s-%d: %s", subscription.topic(), partition.partition(), partition.error());
                    }
                }
                for (Lane.Unread unread : lane.onFetched(request, fetched, ShareClient.now())) {
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

    static void tellLosses(Subscription subscription) {
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

    @Override
    public void close() {
        reader.close();
    }
}
