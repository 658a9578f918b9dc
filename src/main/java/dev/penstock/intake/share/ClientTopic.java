package dev.penstock.intake.share;

import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.kafka.share.Receiver;
import dev.penstock.kafka.share.ShareStatistics;
import dev.penstock.kafka.share.ShareTopic;
import dev.penstock.kafka.share.ShareTopics;
import dev.penstock.kafka.share.lane.Acknowledgement;
import dev.penstock.kafka.share.lane.TakenRecord;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.ToIntFunction;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.CorruptRecordException;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** The records of one job topic that the share client holds, and their runs. */
final class ClientTopic implements Receiver, LockKeeper {
    private static final Logger LOG = Logger.getLogger(ClientTopic.class);
    private static final RecordGuard GUARD = RecordGuard.of("intake");

    private final Settings.JobTopic topic;
    private final String group;
    private final int deliveryLimit;
    private final Runnable onEnd;
    private final Parts parts;
    private final ShareTopic subscription;
    private final Map<TakenRecord, ShareDelivery> deliveries = new ConcurrentHashMap<>();
    private final Map<ShareDelivery, TakenRecord> records = new ConcurrentHashMap<>();

    /** Guarded by this. */
    private boolean stopped;

    /**
     * What the topics need.
     *
     * @param open tests whether to take records of a topic now
     * @param slotsLeft returns how many of a topic's slots no job holds
     * @param tenantRoom returns how many more jobs of a tenant may start now, by the tenant's limits
     * @param onRecord starts the run of a record; it must not block
     * @param onLost stops the run of a record whose lock is lost
     * @param origins which records may have been run before their first delivery
     */
    record Parts(
            Predicate<String> open,
            ToIntFunction<String> slotsLeft,
            ToIntFunction<String> tenantRoom,
            Consumer<RecordDelivery> onRecord,
            Consumer<RecordDelivery> onLost,
            RecordDelivery.Writers writers,
            ShareDelivery.Origins origins) {}

    /**
     * @param deliveryLimit the number of deliveries after which the broker drops a record
     * @param onEnd runs after the end of each run, on its thread
     */
    @SuppressWarnings("this-escape") // the client calls it after its start
    ClientTopic(
            ShareTopics client, Settings.JobTopic topic, String group, int deliveryLimit, Runnable onEnd, Parts parts) {
        this.topic = topic;
        this.group = group;
        this.deliveryLimit = deliveryLimit;
        this.onEnd = onEnd;
        this.parts = parts;
        subscription =
                client.subscribe(topic.name(), group, this, topic.priority().rank());
    }

    void register(MeterRegistry meters) {
        FunctionCounter.builder(
                        "penstock.share.fetches",
                        subscription,
                        one -> one.statistics().fetches())
                .tag("topic", topic.name())
                .register(meters);
        FunctionCounter.builder(
                        "penstock.share.bytes",
                        subscription,
                        one -> one.statistics().bytes())
                .tag("topic", topic.name())
                .register(meters);
        FunctionCounter.builder(
                        "penstock.share.disconnects",
                        subscription,
                        one -> one.statistics().disconnects())
                .tag("topic", topic.name())
                .register(meters);
        records(meters, "taken", ShareStatistics::taken);
        records(meters, "acknowledged", ShareStatistics::acknowledged);
        records(meters, "refused", ShareStatistics::refused);
        records(meters, "renewed", ShareStatistics::renewed);
        records(meters, "adopted", ShareStatistics::adopted);
        records(meters, "lost", ShareStatistics::lost);
    }

    private void records(MeterRegistry meters, String what, ToLongFunction<ShareStatistics> count) {
        FunctionCounter.builder("penstock.share.records", subscription, one -> count.applyAsLong(one.statistics()))
                .tag("topic", topic.name())
                .tag("what", what)
                .register(meters);
    }

    /**
     * Sets how many records the topic may have in flight. It keeps a few beyond those that run, whatever more urgent
     * topics have.
     *
     * @param ahead how many records of all topics may wait here
     * @param behind how many more because of blocked jobs
     * @param least how many of this topic may wait in any case
     */
    synchronized void room(int ahead, int behind, int least) {
        if (!stopped && parts.open().test(topic.name())) {
            int running = topic.slots() - parts.slotsLeft().applyAsInt(topic.name());
            // many short jobs of another topic are no reason to take many jobs of a topic with few slots
            long own = Math.max(least, Math.min(ahead, Math.max(LookAhead.LEAST, 2L * topic.slots())));
            // the tenant's further jobs would only wait here for its limits
            long mayRun = topic.hasOneTenant()
                    ? (long) running + parts.tenantRoom().applyAsInt(topic.tenant())
                    : Integer.MAX_VALUE;
            subscription.room(
                    (int) Math.min(mayRun, running + least), (int) Math.min(mayRun, topic.slots() + own + behind));
        } else {
            subscription.room(0, 0);
        }
    }

    /** Takes no further records, whatever room is set later. */
    synchronized void stop() {
        stopped = true;
        subscription.room(0, 0);
    }

    String name() {
        return topic.name();
    }

    /** Returns what the brokers refuse, each with its remedy; empty if they refuse nothing. */
    String warning() {
        return subscription.refusals().entrySet().stream()
                .map(refusal ->
                        "%s: %s. %s".formatted(refusal.getKey(), refusal.getValue(), remedy(refusal.getValue())))
                .collect(Collectors.joining("; "));
    }

    /** @param error begins with the name of Kafka's error */
    private String remedy(String error) {
        String name = error.split("[: ]", 2)[0];
        return switch (name) {
            case "GROUP_AUTHORIZATION_FAILED" -> "Grant READ and DESCRIBE on the group " + group;
            case "TOPIC_AUTHORIZATION_FAILED" -> "Grant READ and DESCRIBE on the topic " + topic.name();
            case "UNKNOWN_TOPIC_OR_PARTITION" -> "Create the topic %s, or grant DESCRIBE on it".formatted(topic.name());
            case "GROUP_MAX_SIZE_REACHED" -> "Raise group.share.max.size on the brokers, or run fewer replicas";
            case "SHARE_SESSION_LIMIT_REACHED" ->
                "Raise group.share.max.share.sessions on the brokers, or run fewer replicas";
            case "GROUP_ID_NOT_FOUND" ->
                "The group %s is not a share group. Stop its members, and delete it".formatted(group);
            case "UNSUPPORTED_VERSION" -> "Share groups need Kafka 4.3 with share.version 1";
            default -> "See the brokers' log";
        };
    }

    // ---- from the client's thread

    @Override
    public void taken(TakenRecord record) {
        ShareDelivery delivery = new ShareDelivery(
                record.record(), parts.origins(), epochsKnown(record), deliveryLimit, parts.writers(), this);
        if (delivery.deliveries() > 1) {
            LOG.debugf("record=%s was delivered %d times", delivery.place(), delivery.deliveries());
        }
        deliveries.put(record, delivery);
        records.put(delivery, record);
        if (!GUARD.read(delivery.record(), () -> parts.onRecord().accept(delivery))) {
            delivery.unread();
            if (!GUARD.read(delivery.record(), () -> parts.onRecord().accept(delivery))) {
                delivery.end();
            }
        }
        if (!parts.open().test(topic.name())) {
            subscription.room(0, 0);
        }
    }

    /** A record that was delivered before is looked up in any case. */
    private CompletableFuture<@Nullable Void> epochsKnown(TakenRecord record) {
        return record.deliveries() > 1
                ? CompletableFuture.completedFuture(null)
                : parts.origins().epochs().ask();
    }

    @Override
    public void lost(TakenRecord record, String why) {
        ShareDelivery delivery = deliveries.remove(record);
        if (delivery != null) {
            records.remove(delivery);
            LOG.warnf("record=%s its lock is lost (%s); the replica that takes it next recovers the job", record, why);
            delivery.leave();
            parts.onLost().accept(delivery);
        }
    }

    @Override
    public void damaged(int partition, long offset, String why) {
        TopicPartition place = new TopicPartition(topic.name(), partition);
        GUARD.passedOver(place, offset, offset + 1, new CorruptRecordException(why));
    }

    // ---- from the threads of runs

    @Override
    public void command(ShareDelivery.LockCommand command) {
        switch (command) {
            case ShareDelivery.LockCommand.Finish(ShareDelivery delivery, AcknowledgeType how, boolean onlyRun) -> {
                TakenRecord record = records.remove(delivery);
                if (record != null) {
                    deliveries.remove(record);
                    subscription.finish(record, acknowledgement(how, onlyRun));
                }
                onEnd.run();
            }
            case ShareDelivery.LockCommand.Renew renewal -> {
                TakenRecord record = records.get(renewal.delivery());
                if (record == null) {
                    renewal.renewed().complete(false);
                } else {
                    var _ = subscription
                            .renew(record)
                            .whenComplete((locked, _) -> renewal.renewed().complete(locked != null && locked));
                }
            }
        }
    }

    @Override
    public int deliveries(ShareDelivery delivery) {
        TakenRecord record = records.get(delivery);
        return record == null ? delivery.deliveries() : record.deliveries();
    }

    @Override
    public boolean wasInDoubt(ShareDelivery delivery) {
        TakenRecord record = records.get(delivery);
        return record != null && record.wasInDoubt();
    }

    private static Acknowledgement acknowledgement(AcknowledgeType how, boolean onlyRun) {
        return switch (how) {
            case ACCEPT -> onlyRun ? Acknowledgement.ACCEPT_UNDOUBTED : Acknowledgement.ACCEPT;
            case RELEASE -> Acknowledgement.RELEASE;
            case REJECT -> Acknowledgement.REJECT;
            case RENEW -> throw new IllegalArgumentException("a run does not end with RENEW");
        };
    }
}
