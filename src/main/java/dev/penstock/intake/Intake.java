package dev.penstock.intake;

import dev.penstock.dispatch.Dispatcher;
import dev.penstock.dispatch.Traces;
import dev.penstock.dispatch.Waits;
import dev.penstock.intake.group.GroupIntake;
import dev.penstock.intake.record.DeferredJobs;
import dev.penstock.intake.record.InFlightRecords;
import dev.penstock.intake.record.JobRecords;
import dev.penstock.intake.record.LeftValues;
import dev.penstock.intake.record.PartitionsInFlight;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.intake.record.Source;
import dev.penstock.intake.setup.ModeChoice;
import dev.penstock.intake.setup.TopicSetup;
import dev.penstock.intake.share.ClientIntake;
import dev.penstock.intake.share.LeaderEpochs;
import dev.penstock.intake.share.ShareDelivery;
import dev.penstock.intake.share.TopicIntake;
import dev.penstock.intake.watch.QueueWatch;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.Settings;
import dev.penstock.settings.start.BrokerWatch;
import dev.penstock.settings.topic.SettingsFeed;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import dev.penstock.wire.record.IntakeMode;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Takes jobs: in share mode by a share group for each job topic, in classic mode by a consumer group for each. {@code
 * app.Lifecycle} starts and stops it.
 */
@Singleton
public final class Intake {
    private static final Logger LOG = Logger.getLogger(Intake.class);
    private static final Duration RETRY = Duration.ofSeconds(2);

    private final Settings settings;
    private final KafkaClients kafka;
    private final Dispatcher dispatcher;
    private final RecordDelivery.Writers writers;
    private final Clock clock;
    private final ReplyTopic replies;
    private final Recovery recovery;
    private final BrokerWatch broker;
    private final QueueWatch watch;
    private final InFlightRecords inFlight;
    private final LeftValues left;
    private final Traces traces;
    private final MeterRegistry meters;
    private final Waits waits;
    private final List<Source> sources = new CopyOnWriteArrayList<>();
    private volatile @Nullable LeaderEpochs epochs;
    private volatile State state = State.STARTING;
    private volatile @Nullable IntakeMode mode;

    /** The states of the intake. */
    public enum State {
        /** The broker has not been reached yet. */
        STARTING,
        RUNNING,
        DRAINING
    }

    public Intake(
            Settings settings,
            KafkaClients kafka,
            SettingsFeed feed,
            Dispatcher dispatcher,
            DeadLetters deadLetters,
            DeferredJobs deferred,
            Clock clock,
            ReplyTopic replies,
            Recovery recovery,
            MeterRegistry meters,
            Traces traces,
            BrokerWatch broker,
            Waits waits) {
        this.settings = settings;
        this.kafka = kafka;
        this.dispatcher = dispatcher;
        writers = new RecordDelivery.Writers(deferred, deadLetters);
        this.clock = clock;
        this.replies = replies;
        this.recovery = recovery;
        this.traces = traces;
        this.meters = meters;
        this.broker = broker;
        this.waits = waits;
        PartitionsInFlight partitions = new PartitionsInFlight(settings, clock, meters);
        watch = new QueueWatch(kafka, settings, clock, meters, broker, dispatcher, partitions);
        inFlight = new InFlightRecords(settings, partitions, meters);
        left = new LeftValues(kafka, settings);
        dispatcher.crowdedWhile(inFlight::isCrowded);
        Gauge.builder("penstock.settings.version", feed, SettingsFeed::number).register(meters);
    }

    public State state() {
        return state;
    }

    /** The result of {@link #prepare}: the job topics and the intake mode. */
    public static final class Prepared {
        private final TopicSetup setup;
        private final List<TopicSetup.Found> topics;
        private final ModeChoice.Chosen chosen;
        private final Map<String, UUID> topicIds = new ConcurrentHashMap<>();

        private Prepared(TopicSetup setup, List<TopicSetup.Found> topics, ModeChoice.Chosen chosen) {
            this.setup = setup;
            this.topics = topics;
            this.chosen = chosen;
            topics.forEach(found -> topicIds.put(found.topic().name(), found.id()));
        }

        /** Returns the id of each job topic. A new id shows the ledger that the topic was deleted and created again. */
        public Map<String, UUID> topicIds() {
            return topicIds;
        }

        public IntakeMode mode() {
            return chosen.mode();
        }
    }

    /** Waits for the broker, prepares the topics, and decides the intake mode. */
    public Prepared prepare() throws InterruptedException, TopicSetup.Unusable {
        TopicSetup setup = new TopicSetup(kafka, settings);
        List<TopicSetup.Found> found = asking(setup::ensure);
        ModeChoice.Chosen chosen = asking(new ModeChoice(settings, kafka)::choose);
        mode = chosen.mode();
        return new Prepared(setup, found, chosen);
    }

    /** Starts to take jobs, unless the intake was stopped in the meantime. */
    public void takeJobs(Prepared prepared) throws InterruptedException, TopicSetup.Unusable {
        ModeChoice.Chosen chosen = prepared.chosen;
        List<TopicSetup.Found> found = prepared.topics;
        Map<String, Integer> windows = new HashMap<>();
        if (settings.intake().enabled()) {
            JobRecords records = new JobRecords(
                    prepared.topicIds, settings, dispatcher, replies, recovery, inFlight, left, traces.tracer());
            GroupIntake.Parts parts =
                    new GroupIntake.Parts(settings, kafka, records, dispatcher, waits, writers, clock);
            switch (chosen.mode()) {
                case SHARE -> {
                    Map<String, TopicSetup.GroupLimits> limits = asking(prepared.setup::ensureShareGroups);
                    limits.forEach((topic, limit) -> windows.put(topic, limit.locks()));
                    LeaderEpochs asking = new LeaderEpochs(kafka, partitions(found));
                    asking.start();
                    epochs = asking;
                    ShareDelivery.Origins origins = new ShareDelivery.Origins(chosen, asking);
                    switch (settings.intake().shareClient()) {
                        case OWN -> {
                            Map<String, Integer> deliveries = new HashMap<>();
                            limits.forEach((topic, limit) -> deliveries.put(topic, limit.deliveries()));
                            join(new ClientIntake(
                                    settings, kafka, records, dispatcher, writers, origins, deliveries, meters));
                        }
                        case KAFKA -> {
                            for (TopicSetup.Found topic : found) {
                                TopicSetup.GroupLimits limit =
                                        limits.get(topic.topic().name());
                                int deliveries = limit == null ? Integer.MAX_VALUE : limit.deliveries();
                                join(new TopicIntake(
                                        topic.topic(),
                                        settings,
                                        kafka,
                                        records,
                                        dispatcher,
                                        writers,
                                        deliveries,
                                        origins));
                            }
                        }
                    }
                }
                case CLASSIC -> found.forEach(topic -> join(GroupIntake.ofJobs(parts, topic.topic())));
            }
            join(GroupIntake.ofDeferred(parts));
        }
        chosen.warnings().forEach(watch::warn);
        watch.start(chosen.mode(), windows, partitions(found));
        if (!running()) {
            return;
        }
        LOG.infof(
                "taking jobs in %s mode from %s, answers go to %s",
                chosen.mode().wireName(),
                settings.intake().enabled()
                        ? settings.intake().topics().stream()
                                .map(Settings.JobTopic::name)
                                .toList()
                        : "no topic (penstock.intake.enabled is false)",
                replies.name());
    }

    /** Returns the details for health, by name: numbers, and warnings for the operator. */
    public Map<String, String> standing() {
        Map<String, String> standing = new TreeMap<>();
        BrokerWatch.Away away = broker.away();
        standing.put(
                "broker",
                state == State.STARTING
                        ? "%s has not been reached yet".formatted(kafka.bootstrapServers())
                        : away == null ? "reachable" : "away since " + away.since());
        if (away != null) {
            standing.put("warning.broker", away.message());
        }
        IntakeMode known = mode;
        if (known != null) {
            standing.put("mode", known.wireName());
            standing.put("ledger", dispatcher.ledger());
        }
        standing.put("in_hand", Integer.toString(dispatcher.size()));
        standing.put("parked", Integer.toString(dispatcher.parked()));
        standing.put("suspects", Integer.toString(dispatcher.quarantine()));
        watch.windowUsed().forEach((topic, used) -> standing.put("window_used." + topic, "%.2f".formatted(used)));
        watch.lag().forEach((topic, left) -> standing.put("lag." + topic, Long.toString(left)));
        SupervisedThread.failing().forEach((thread, words) -> standing.put("warning.thread." + thread, words));
        RecordGuard.warnings().forEach((reader, words) -> standing.put("warning.records." + reader, words));
        dispatcher.nodesDown().forEach((node, why) -> standing.put("warning.node." + node, why));
        waits.noNode().ifPresent(words -> standing.put("warning.nodes", words));
        dispatcher
                .pauses()
                .all()
                .forEach(pause -> standing.put(
                        "paused.%s.%s".formatted(pause.kind().wireName(), pause.name()),
                        pause.since().toString()));
        dispatcher.waits().forEach((code, group) -> standing.put("waiting." + code.wireName(), group.words()));
        watch.warnings().forEach((about, words) -> standing.put("warning." + about, words));
        for (Source source : sources) {
            source.warnings().forEach((about, words) -> standing.put("warning." + about, words));
        }
        inFlight.deliveries().forEach((count, records) -> standing.put("deliveries." + count, Long.toString(records)));
        return standing;
    }

    /** A request that is repeated until the broker answers. */
    private interface Question<T> {
        T ask() throws InterruptedException, TopicSetup.Unusable;
    }

    private <T> T asking(Question<T> question) throws InterruptedException, TopicSetup.Unusable {
        String known = "";
        while (true) {
            try {
                return question.ask();
            } catch (KafkaException e) {
                String why = Reason.of(e);
                // do not log a timeout here: the broker watch logs once that Kafka does not answer
                if (!why.equals(known) && !(e instanceof TimeoutException)) {
                    LOG.warnf("Kafka at %s cannot be used yet, trying again: %s", kafka.bootstrapServers(), why);
                }
                known = why;
                Thread.sleep(RETRY);
            }
        }
    }

    private static List<TopicPartition> partitions(List<TopicSetup.Found> topics) {
        return topics.stream()
                .flatMap(found -> IntStream.range(0, found.partitions())
                        .mapToObj(partition -> new TopicPartition(found.topic().name(), partition)))
                .toList();
    }

    /**
     * Adds a source of jobs and starts it, unless the intake was stopped in the meantime. That stop did not reach
     * this source, because the source did not exist yet.
     */
    private synchronized void join(Source source) {
        if (state != State.DRAINING) {
            sources.add(source);
            source.start();
        }
    }

    /** @return false if the intake was stopped in the meantime */
    private synchronized boolean running() {
        if (state == State.DRAINING) {
            return false;
        }
        state = State.RUNNING;
        return true;
    }

    /** Stops taking jobs. From now on, {@code ready} is down. */
    public synchronized void stopTaking() {
        state = State.DRAINING;
        sources.forEach(Source::stop);
    }

    /** Leaves the groups. Called when no job is in flight here any more. */
    public void leaveGroups() throws InterruptedException {
        sources.forEach(Source::close);
        for (Source source : sources) {
            source.awaitClosed();
        }
    }

    /** Closes the clients that ask the broker. */
    public void close() {
        LeaderEpochs asking = epochs;
        if (asking != null) {
            asking.close();
        }
        watch.close();
        left.close();
    }
}
