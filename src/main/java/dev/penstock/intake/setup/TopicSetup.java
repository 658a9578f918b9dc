package dev.penstock.intake.setup;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.ShareSupport;
import dev.penstock.settings.Settings;
import dev.penstock.wire.Reason;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/** Prepares the broker before jobs are received: creates the topics, and configures the share groups. */
public final class TopicSetup {
    private static final Logger LOG = Logger.getLogger(TopicSetup.class);
    private static final String DELIVERY_LIMIT = "share.delivery.count.limit";
    /**
     * The delivery limit of a broker before 4.3. Such a broker has no limit for each group; its configuration may set
     * another limit for all groups.
     */
    private static final int DEFAULT_DELIVERY_LIMIT = 5;

    private static final int DEFAULT_LOCKS = 2000;

    private static final Config NO_CONFIG = new Config(List.of());
    /** The compression setting of a topic that keeps the compression of the producer. */
    private static final String PRODUCERS_COMPRESSION = "producer";

    private final KafkaClients kafka;
    private final Settings settings;

    public TopicSetup(KafkaClients kafka, Settings settings) {
        this.kafka = kafka;
        this.settings = settings;
    }

    /**
     * A job topic as the broker reports it.
     *
     * @param id the id of the topic; an earlier topic with the same name had another id
     */
    public record Found(Settings.JobTopic topic, UUID id, int partitions) {}

    /** Reports a problem that the operator of the broker must solve. */
    public static final class Unusable extends Exception {
        Unusable(String message) {
            super(message);
        }
    }

    /**
     * Creates the missing topics and returns the job topics.
     *
     * @throws KafkaException if the broker cannot be reached now
     */
    public List<Found> ensure() throws Unusable, InterruptedException {
        Admin admin = kafka.admin();
        Map<String, TopicDescription> there = describe(admin);
        List<String> missing = wanted().keySet().stream()
                .filter(name -> !there.containsKey(name))
                .toList();
        if (!missing.isEmpty()) {
            if (!settings.createTopics()) {
                throw new Unusable("topics are missing: %s. Create them, or set penstock.kafka.create-topics to true"
                        .formatted(String.join(", ", missing)));
            }
            create(admin, missing);
            there.putAll(describe(admin));
            awaitLeaders(admin, there.values());
        }
        warnOf(
                admin,
                there.keySet().stream().filter(name -> !missing.contains(name)).toList());
        List<Found> found = new ArrayList<>();
        for (Settings.JobTopic topic : settings.intake().topics()) {
            TopicDescription description = there.get(topic.name());
            if (description == null) {
                throw new KafkaException("topic " + topic.name() + " is not visible yet");
            }
            Uuid id = description.topicId();
            found.add(new Found(
                    topic,
                    new UUID(id.getMostSignificantBits(), id.getLeastSignificantBits()),
                    description.partitions().size()));
        }
        return found;
    }

    /**
     * Sets up the share groups of the job topics before any consumer joins them. Limits that an operator has set on a
     * group are kept.
     *
     * @return the limits of each topic's group
     * @throws KafkaException if the broker cannot be reached now
     */
    public Map<String, GroupLimits> ensureShareGroups() throws Unusable, InterruptedException {
        Map<String, GroupLimits> limits = new HashMap<>();
        Admin admin = kafka.admin();
        for (Settings.JobTopic topic : settings.intake().topics()) {
            limits.put(topic.name(), configureGroup(admin, settings.group(topic)));
        }
        return limits;
    }

    /**
     * @param deliveries the largest number of deliveries of a record
     * @param locks the largest distance from the oldest unfinished record to the newest record in flight
     */
    public record GroupLimits(int deliveries, int locks) {}

    private Map<String, TopicShape> wanted() {
        return TopicShape.all(settings);
    }

    /**
     * Warns if an operator created a topic with settings that are unsuitable for large jobs or for clocks that differ.
     */
    private void warnOf(Admin admin, Collection<String> topics) throws InterruptedException {
        try {
            var found = admin.describeConfigs(topics.stream()
                            .filter(this::hasLarge)
                            .map(topic -> new ConfigResource(ConfigResource.Type.TOPIC, topic))
                            .toList())
                    .all()
                    .get();
            found.forEach((topic, config) -> Objects.requireNonNull(wanted().get(topic.name()))
                    .configs()
                    .forEach((key, value) -> {
                        ConfigEntry entry = config.get(key);
                        if (entry != null
                                && entry.value() != null
                                && !isWatched(topic.name(), key)
                                && !serves(key, entry.value(), value)) {
                            LOG.warnf(
                                    "topic=%s its %s is %s: %s. kafka-configs --bootstrap-server %s --alter --topic %s --add-config %s=%s",
                                    topic.name(),
                                    key,
                                    entry.value(),
                                    consequence(key),
                                    kafka.bootstrapServers(),
                                    topic.name(),
                                    key,
                                    value);
                        }
                    }));
        } catch (ExecutionException e) {
            LOG.debugf("how the topics are configured is not known: %s", e.getMessage());
        }
    }

    /**
     * Returns whether a topic has jobs or answers. For the other topics, the broker's default limit for a record is
     * large enough.
     */
    private boolean hasLarge(String topic) {
        Settings.Topics topics = settings.topics();
        return !topic.equals(topics.commands()) && !topic.equals(topics.settings()) && !topic.equals(topics.usage());
    }

    /** Returns whether the queue watch warns about this setting. Its warning remains as long as the problem exists. */
    private boolean isWatched(String topic, String key) {
        return key.equals(TopicConfig.COMPRESSION_TYPE_CONFIG)
                && !topic.equals(settings.topics().replies());
    }

    private static boolean serves(String key, String found, String needed) {
        return switch (key) {
            case TopicConfig.MAX_MESSAGE_BYTES_CONFIG -> Long.parseLong(found) >= Long.parseLong(needed);
            case TopicConfig.MESSAGE_TIMESTAMP_TYPE_CONFIG -> found.equals(needed);
            case TopicConfig.COMPRESSION_TYPE_CONFIG -> found.equals(needed) || found.equals(PRODUCERS_COMPRESSION);
            default -> true;
        };
    }

    /** Returns the effect of an unsuitable setting of a topic. */
    private static String consequence(String key) {
        return switch (key) {
            case TopicConfig.MAX_MESSAGE_BYTES_CONFIG ->
                "a record of penstock.kafka.max-record does not fit, and a job of that size stays where it is, and answers are cut into smaller chunks";
            case TopicConfig.COMPRESSION_TYPE_CONFIG ->
                "the broker compresses each event again, whatever penstock.replies.compression is, and readers need that codec";
            default ->
                "where the clocks of producers, replicas and brokers differ by more than a minute, a job that is recovered may end without an outcome";
        };
    }

    private Map<String, TopicDescription> describe(Admin admin) throws InterruptedException {
        Map<String, TopicDescription> there = new HashMap<>();
        var asked = admin.describeTopics(wanted().keySet()).topicNameValues();
        for (var topic : asked.entrySet()) {
            try {
                there.put(topic.getKey(), topic.getValue().get());
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw asKafka(e);
                }
            }
        }
        return there;
    }

    private void create(Admin admin, List<String> missing) throws InterruptedException, Unusable {
        try {
            int brokers = admin.describeCluster().nodes().get().size();
            short replication = (short) Math.min(3, brokers);
            List<NewTopic> topics = new ArrayList<>();
            for (String name : missing) {
                TopicShape shape = wanted().get(name);
                if (shape == null) {
                    continue;
                }
                Map<String, String> configs = new HashMap<>(shape.configs());
                configs.put(
                        TopicConfig.RETENTION_MS_CONFIG,
                        Long.toString(shape.retention().toMillis()));
                configs.put(TopicConfig.MIN_IN_SYNC_REPLICAS_CONFIG, Integer.toString(Math.max(1, replication - 1)));
                topics.add(new NewTopic(name, shape.partitions(), replication).configs(configs));
            }
            for (var created : admin.createTopics(topics).values().entrySet()) {
                try {
                    created.getValue().get();
                    LOG.infof("created topic %s", created.getKey());
                } catch (ExecutionException e) {
                    if (e.getCause() instanceof RetriableException) {
                        throw asKafka(e);
                    }
                    if (!(e.getCause() instanceof TopicExistsException)) {
                        throw new Unusable(
                                "topic %s could not be created: %s".formatted(created.getKey(), Reason.of(e)));
                    }
                }
            }
        } catch (ExecutionException e) {
            throw asKafka(e);
        }
    }

    /**
     * Waits until the leader of each partition serves requests. A leader that is not ready can refuse the first of
     * several requests of a producer, and accept a later one. Then the refused request remains out of order, and fails
     * after two minutes (observed with Kafka 4.3.1).
     */
    private static void awaitLeaders(Admin admin, Collection<TopicDescription> topics) throws InterruptedException {
        Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
        for (TopicDescription topic : topics) {
            topic.partitions()
                    .forEach(partition ->
                            ends.put(new TopicPartition(topic.name(), partition.partition()), OffsetSpec.latest()));
        }
        try {
            admin.listOffsets(ends).all().get();
        } catch (ExecutionException e) {
            throw asKafka(e);
        }
    }

    /**
     * Sets the required settings, {@link ShareSupport#GROUP_SETTINGS}, and the preferred limits of a share group. Only
     * a failure to set the required settings is an error.
     */
    private GroupLimits configureGroup(Admin admin, String group) throws InterruptedException, Unusable {
        try {
            admin.incrementalAlterConfigs(ShareSupport.configure(group)).all().get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RetriableException) {
                throw asKafka(e);
            }
            throw new Unusable(
                    "share group %s cannot be set to begin at the earliest record and to leave out aborted transactions (%s). Set it by hand: kafka-configs --bootstrap-server %s --alter --group %s --add-config %s"
                            .formatted(
                                    group,
                                    Reason.of(e),
                                    kafka.bootstrapServers(),
                                    group,
                                    new TreeMap<>(ShareSupport.GROUP_SETTINGS)
                                            .entrySet().stream()
                                                    .map(Map.Entry::toString)
                                                    .collect(Collectors.joining(","))));
        }
        // a broker before 4.3 has no such limits per group, and keeps its own limits
        return new GroupLimits(
                limit(admin, group, DELIVERY_LIMIT, 10, DEFAULT_DELIVERY_LIMIT),
                limit(admin, group, "share.partition.max.record.locks", 4000, DEFAULT_LOCKS));
    }

    /**
     * Sets a limit of a group unless an operator has set it, and returns the limit in force.
     *
     * @param unknown the limit to assume if the broker does not report one
     */
    private static int limit(Admin admin, String group, String key, int wanted, int unknown)
            throws InterruptedException {
        try {
            ConfigEntry reported = entry(admin, group, key);
            if (reported == null || reported.source() != ConfigEntry.ConfigSource.DYNAMIC_GROUP_CONFIG) {
                trySet(admin, group, key, Integer.toString(wanted));
                reported = entry(admin, group, key);
            }
            return reported == null || reported.value() == null ? unknown : Integer.parseInt(reported.value());
        } catch (ExecutionException | NumberFormatException e) {
            LOG.debugf("group=%s its %s is not known, %d is assumed: %s", group, key, unknown, e);
            return unknown;
        }
    }

    private static @Nullable ConfigEntry entry(Admin admin, String group, String key)
            throws InterruptedException, ExecutionException {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
        return admin.describeConfigs(List.of(resource))
                .all()
                .get()
                .getOrDefault(resource, NO_CONFIG)
                .get(key);
    }

    private static void trySet(Admin admin, String group, String key, String value) throws InterruptedException {
        try {
            set(admin, group, key, value);
        } catch (ExecutionException e) {
            LOG.warnf("group=%s %s=%s was refused: %s", group, key, value, Reason.of(e));
        }
    }

    private static void set(Admin admin, String group, String key, String value)
            throws InterruptedException, ExecutionException {
        var op = new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), List.of(op)))
                .all()
                .get();
    }

    private static KafkaException asKafka(ExecutionException e) {
        return e.getCause() instanceof KafkaException kafka ? kafka : new KafkaException(e);
    }
}
