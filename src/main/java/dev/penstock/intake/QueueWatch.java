package dev.penstock.intake;

import dev.penstock.job.RecordPlace;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.settings.start.BrokerWatch;
import dev.penstock.wire.Reason;
import dev.penstock.wire.record.IntakeMode;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ShareGroupDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The state of the queue, as the broker reports it: how much of each topic is not finished, how much of a partition's
 * window is used, whether the broker answers at all, and which replicas share the nodes. It logs once what an operator
 * has to act on.
 */
final class QueueWatch implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger(QueueWatch.class);
    private static final Duration PERIOD = Duration.ofSeconds(1);
    private static final Duration PATIENCE = Duration.ofSeconds(4);
    private static final Duration ASSIGNED_WITHIN = Duration.ofSeconds(15);
    private static final double NEARLY_FULL = 0.8;
    private static final String SLOTS = "slots.";
    private static final String COMPRESSION = "compression.";
    private static final Duration COMPRESSION_PERIOD = Duration.ofSeconds(30);

    private final KafkaClients kafka;
    private final Settings settings;
    private final Clock clock;
    private final MeterRegistry meters;
    private final BrokerWatch broker;
    private final Replica replica;
    private final Map<String, Long> lag = new ConcurrentHashMap<>();
    /** By job topic, in milliseconds. Before anything is taken, this is the time of the start. */
    private final Map<String, AtomicLong> newestTaken = new ConcurrentHashMap<>();

    private final Map<TopicPartition, Partition> partitions = new ConcurrentHashMap<>();
    private final Map<String, String> warnings = new ConcurrentHashMap<>();
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor(
            Thread.ofPlatform().daemon().name("penstock-queue-watch").factory());
    private volatile boolean assigned;
    private Map<String, Integer> locks = Map.of();
    private Instant startedAt = Instant.MAX;
    private Instant compressionAt = Instant.MIN;
    /** Made and used by the timer's thread. */
    private @Nullable Admin admin;

    /** What this replica has of a partition, and what the broker reported of it last. */
    private static final class Partition {
        /** The newest record that was taken here, plus one. */
        private final AtomicLong takenUpTo = new AtomicLong();

        private final AtomicInteger inHand = new AtomicInteger();
        /** How often in a row the broker had more of it than was in flight here. */
        private volatile int behind;

        private volatile double windowUsed;
    }

    /**
     * A partition delivers nothing more while its newest record in flight is so far behind its oldest one that is not
     * finished.
     *
     * @param oldest the first that is not finished
     * @param newest the last that this replica has, plus one
     * @param limit share.partition.max.record.locks
     */
    private record Window(long oldest, long newest, int limit) {
        double used() {
            return (double) Math.max(0, newest - oldest) / limit;
        }
    }

    /** What else the watch checks in this replica every second. */
    interface Replica {
        /**
         * Shares the nodes among the live replicas, which the broker knows.
         *
         * @return what is too much for a node, by its name
         */
        Map<String, String> share(Admin admin) throws ExecutionException, InterruptedException;

        /** Whether this replica takes jobs: a node is up. */
        boolean isOpen();

        /** Logs why jobs wait. */
        void logWaits();
    }

    QueueWatch(
            KafkaClients kafka,
            Settings settings,
            Clock clock,
            MeterRegistry meters,
            BrokerWatch broker,
            Replica replica) {
        this.broker = broker;
        this.replica = replica;
        this.kafka = kafka;
        this.settings = settings;
        this.clock = clock;
        this.meters = meters;
        settings.intake().topics().forEach(topic -> lagGauge(topic.name()));
        lagGauge(settings.topics().deferred());
        TopicShape.boundedOnes(settings)
                .forEach(topic -> Gauge.builder(
                                "penstock.topic.unbounded",
                                warnings,
                                known -> known.containsKey(COMPRESSION + topic) ? 1 : 0)
                        .tag("topic", topic)
                        .register(meters));
        if (settings.intake().enabled()) {
            settings.intake().topics().forEach(topic -> handGauges(topic.name()));
        }
    }

    private void lagGauge(String topic) {
        Gauge.builder("penstock.queue.lag", lag, known -> known.getOrDefault(topic, 0L))
                .tag("topic", topic)
                .register(meters);
    }

    /**
     * Only all replicas together know the age of the backlog. Its head is younger than what any of them took last, and
     * there is a backlog only where more is unfinished than they have in flight.
     */
    private void handGauges(String topic) {
        Gauge.builder("penstock.queue.in.hand", this, watch -> watch.inHand(topic))
                .tag("topic", topic)
                .register(meters);
        AtomicLong newest = new AtomicLong(clock.millis());
        newestTaken.put(topic, newest);
        Gauge.builder("penstock.queue.taken.timestamp.seconds", newest, millis -> millis.get() / 1000.0)
                .tag("topic", topic)
                .register(meters);
    }

    private int inHand(String topic) {
        return partitions.entrySet().stream()
                .filter(known -> known.getKey().topic().equals(topic))
                .mapToInt(known -> known.getValue().inHand.get())
                .sum();
    }

    /**
     * @param windowLimits the limit for each topic that share groups take; empty in classic mode, where there is no window
     * @param partitions the partitions of the job topics
     */
    void start(IntakeMode mode, Map<String, Integer> windowLimits, Collection<TopicPartition> partitions) {
        locks = windowLimits;
        startedAt = clock.instant();
        for (TopicPartition partition : partitions) {
            Partition known = of(partition);
            if (!windowLimits.isEmpty()) {
                Gauge.builder("penstock.intake.window.used", known, stands -> stands.windowUsed)
                        .tag("topic", partition.topic())
                        .tag("partition", Integer.toString(partition.partition()))
                        .register(meters);
            }
        }
        var _ = timer.scheduleWithFixedDelay(() -> watch(mode), 0, PERIOD.toMillis(), TimeUnit.MILLISECONDS);
    }

    private Partition of(TopicPartition partition) {
        return partitions.computeIfAbsent(partition, _ -> new Partition());
    }

    private Partition of(RecordPlace place) {
        return of(new TopicPartition(place.topic(), place.partition()));
    }

    /** From any thread. */
    void taken(RecordPlace place, long timestamp) {
        AtomicLong newest = newestTaken.get(place.topic());
        if (newest != null) {
            newest.accumulateAndGet(timestamp, Math::max);
        }
        Partition partition = of(place);
        partition.takenUpTo.accumulateAndGet(place.offset() + 1, Math::max);
        partition.inHand.incrementAndGet();
    }

    /** From any thread. */
    void released(RecordPlace place) {
        of(place).inHand.decrementAndGet();
    }

    /** Whether the broker had more of some partition than was in flight here, at each of the last two checks. */
    boolean isBehind(String topic) {
        return partitions.entrySet().stream()
                .anyMatch(known -> known.getKey().topic().equals(topic) && known.getValue().behind > 1);
    }

    /** By topic; what was known last. */
    Map<String, Long> lag() {
        return new TreeMap<>(lag);
    }

    /** The fullest window of each topic that a share group takes, 1 is full. */
    Map<String, Double> windowUsed() {
        Map<String, Double> used = new TreeMap<>();
        partitions.forEach((partition, known) -> {
            if (locks.containsKey(partition.topic())) {
                used.merge(partition.topic(), known.windowUsed, Math::max);
            }
        });
        return used;
    }

    /** The warnings that an operator has to act on, by what they are about. */
    Map<String, String> warnings() {
        return new TreeMap<>(warnings);
    }

    private void watch(IntakeMode mode) {
        try {
            replica.logWaits();
            look(admin(), mode);
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException | Error e) {
            // such as a host name that is not resolved for a moment; an exception from a timer's task would end the
            // timer
            LOG.warnf("the queue could not be checked, trying again: %s", Reason.of(e));
        }
    }

    private Admin admin() {
        Admin known = admin;
        if (known == null) {
            int patience = (int) PATIENCE.toMillis();
            known = kafka.admin(
                    "penstock-queue-watch",
                    Map.of(
                            AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, patience,
                            AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, patience));
            admin = known;
        }
        return known;
    }

    private void look(Admin admin, IntakeMode mode) throws InterruptedException {
        asking(() -> share(admin));
        if (!clock.instant().isBefore(compressionAt)) {
            compressionAt = clock.instant().plus(COMPRESSION_PERIOD);
            asking(() -> lookAtCompression(admin));
        }
        for (Settings.JobTopic topic : settings.intake().topics()) {
            switch (mode) {
                case SHARE -> asking(() -> ofShareGroup(admin, topic.name(), settings.group(topic)));
                case CLASSIC ->
                    asking(() -> lag.put(topic.name(), GroupLag.ofConsumerGroup(admin, settings.group(topic))));
            }
        }
        if (mode == IntakeMode.SHARE && !assigned && settings.intake().enabled()) {
            asking(() -> lookForAssignment(admin));
        }
        Settings.Topics topics = settings.topics();
        asking(() -> lag.put(topics.deferred(), GroupLag.ofConsumerGroup(admin, settings.deferredGroup())));
    }

    private void share(Admin admin) throws ExecutionException, InterruptedException {
        Map<String, String> tooMuch;
        try {
            tooMuch = replica.share(admin);
            warnings.remove("replicas");
        } catch (ExecutionException e) {
            if (e.getCause() instanceof AuthorizationException && !warnings.containsKey("replicas")) {
                warn(
                        "replicas",
                        "the broker does not list the live replicas, so each takes all of max-in-flight: %s. Grant DESCRIBE on the group %s"
                                .formatted(Reason.of(e), settings.groups().ledger()));
            }
            throw e;
        }
        warnings.keySet()
                .removeIf(about -> about.startsWith(SLOTS) && !tooMuch.containsKey(about.substring(SLOTS.length())));
        tooMuch.forEach((node, words) -> {
            if (!words.equals(warnings.get(SLOTS + node))) {
                warn(SLOTS + node, words);
            }
        });
    }

    /** Finds topics where the broker lets records grow. Without DESCRIBE_CONFIGS on a topic nothing is known of it. */
    private void lookAtCompression(Admin admin) throws InterruptedException {
        Map<ConfigResource, KafkaFuture<Config>> asked = admin.describeConfigs(TopicShape.boundedOnes(settings).stream()
                        .map(topic -> new ConfigResource(ConfigResource.Type.TOPIC, topic))
                        .toList())
                .values();
        for (Map.Entry<ConfigResource, KafkaFuture<Config>> topic : asked.entrySet()) {
            try {
                ConfigEntry entry = topic.getValue().get().get(TopicConfig.COMPRESSION_TYPE_CONFIG);
                if (entry != null && entry.value() != null) {
                    compression(topic.getKey().name(), entry.value());
                }
            } catch (ExecutionException e) {
                LOG.debugf(
                        "topic=%s its compression is not known: %s",
                        topic.getKey().name(), Reason.of(e));
            }
        }
    }

    /** @param type the topic's {@code compression.type} */
    void compression(String topic, String type) {
        String about = COMPRESSION + topic;
        if (TopicShape.bounds(type)) {
            warnings.remove(about);
            return;
        }
        String words = TopicShape.unbounded(topic, type, kafka.bootstrapServers());
        if (!words.equals(warnings.get(about))) {
            warn(about, words);
        }
    }

    private interface Question {
        void ask() throws ExecutionException, InterruptedException;
    }

    private void asking(Question question) throws InterruptedException {
        if (broker.away() != null) {
            return;
        }
        try {
            question.ask();
        } catch (ExecutionException | RuntimeException e) {
            // a group that does not exist yet, a coordinator that is being elected, a partition without a leader
            LOG.debugf("the queue could not be checked: %s", Reason.of(e));
        }
    }

    private void ofShareGroup(Admin admin, String topic, String group) throws ExecutionException, InterruptedException {
        GroupLag.OfShareGroup unfinished = GroupLag.ofShareGroup(
                admin,
                group,
                partitions.keySet().stream()
                        .filter(partition -> partition.topic().equals(topic))
                        .toList());
        unfinished.begun().forEach((partition, info) -> {
            long left = info.lag().orElseThrow();
            Partition known = of(partition);
            // what other replicas hold is not finished either
            boolean more = left - known.inHand.get() > settings.intake().slots() / 4;
            known.behind = more ? known.behind + 1 : 0;
            window(topic, partition, left > 0 ? info.startOffset() : Long.MAX_VALUE);
        });
        lag.put(topic, unfinished.records());
    }

    /** @param oldest the first record that is not finished */
    private void window(String topic, TopicPartition partition, long oldest) {
        Window window = new Window(oldest, of(partition).takenUpTo.get(), locks.getOrDefault(topic, Integer.MAX_VALUE));
        of(partition).windowUsed = window.used();
        String about = "window." + partition;
        if (window.used() <= NEARLY_FULL) {
            warnings.remove(about);
        } else if (!warnings.containsKey(about)) {
            warn(
                    about,
                    "partition %s delivers nothing more when %d records lie between its newest record in flight and its oldest unfinished one, at offset %d; now there are %d. Give long jobs a topic of their own (penstock.intake.topics), or raise the limit, as far as the broker allows: kafka-configs --bootstrap-server %s --alter --group %s --add-config share.partition.max.record.locks=%d"
                            .formatted(
                                    partition,
                                    window.limit(),
                                    oldest,
                                    window.newest() - oldest,
                                    kafka.bootstrapServers(),
                                    settings.groups().of(topic),
                                    2L * window.limit()));
        }
    }

    /**
     * A single broker whose share coordinator wants three replicas of its own topic assigns nothing, and only the
     * broker's log has the reason.
     */
    private void lookForAssignment(Admin admin) throws ExecutionException, InterruptedException {
        if (!replica.isOpen()) {
            // without a node this replica asks for nothing, so the broker assigns nothing
            startedAt = clock.instant();
            return;
        }
        List<String> groups =
                settings.intake().topics().stream().map(settings::group).toList();
        boolean all = true;
        for (KafkaFuture<ShareGroupDescription> asked :
                admin.describeShareGroups(groups).describedGroups().values()) {
            all &= isAssigned(asked);
        }
        assigned = all;
        if (assigned) {
            warnings.remove("assignment");
        } else if (!warnings.containsKey("assignment")
                && startedAt.plus(ASSIGNED_WITHIN).isBefore(clock.instant())) {
            warn(
                    "assignment",
                    "the broker has assigned no partition to the share groups %s for %d s. A cluster of fewer than three brokers needs share.coordinator.state.topic.replication.factor=1 and share.coordinator.state.topic.min.isr=1 in its configuration"
                            .formatted(groups, ASSIGNED_WITHIN.toSeconds()));
        }
    }

    /** A group that no consumer could join does not exist. */
    private static boolean isAssigned(KafkaFuture<ShareGroupDescription> asked)
            throws ExecutionException, InterruptedException {
        try {
            return asked.get().members().stream()
                    .anyMatch(member -> !member.assignment().topicPartitions().isEmpty());
        } catch (ExecutionException e) {
            if (e.getCause() instanceof GroupIdNotFoundException) {
                return false;
            }
            throw e;
        }
    }

    /** Logs it, and keeps it for health. */
    void warn(String about, String words) {
        warnings.put(about, words);
        LOG.warn(words);
    }

    @Override
    public void close() {
        var _ = timer.submit(() -> {
            if (admin != null) {
                admin.close(Duration.ZERO);
            }
        });
        timer.shutdown();
    }
}
