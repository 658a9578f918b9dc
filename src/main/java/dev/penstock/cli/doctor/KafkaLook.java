package dev.penstock.cli.doctor;

import dev.penstock.cli.job.Problem;
import dev.penstock.cli.kafka.KafkaAccess;
import dev.penstock.kafka.SettingsTopic;
import dev.penstock.kafka.ShareSupport;
import dev.penstock.wire.Reason;
import dev.penstock.wire.record.IntakeMode;
import dev.penstock.wire.record.MigrateLine;
import dev.penstock.wire.record.SettingsVersion;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.FinalizedVersionRange;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Checks an installation's Kafka: its brokers, topics, intake mode and groups. It changes nothing in Kafka. */
final class KafkaLook {
    private static final Duration PATIENCE = Duration.ofSeconds(5);
    private static final String MODE = "intake mode";

    private final KafkaAccess access;
    private final Installation here;
    /** Whether the service runs. If it does, the topics that it creates when it starts must exist. */
    private final boolean serviceRuns;

    private final List<Finding> found = new ArrayList<>();

    KafkaLook(KafkaAccess access, Installation here, boolean serviceRuns) {
        this.access = access;
        this.here = here;
        this.serviceRuns = serviceRuns;
    }

    private interface Question {
        void ask() throws Problem, ExecutionException, InterruptedException;
    }

    List<Finding> look() throws InterruptedException {
        try (Admin admin = access.admin(PATIENCE)) {
            DescribeClusterResult cluster = admin.describeCluster();
            List<Node> brokers = List.copyOf(access.get(cluster.nodes()));
            found.add(Finding.ok(
                    "Kafka",
                    "%d broker%s at %s, cluster %s"
                            .formatted(
                                    brokers.size(),
                                    brokers.size() == 1 ? "" : "s",
                                    access.brokers(),
                                    access.get(cluster.clusterId()))));
            attempt("Kafka's features", () -> features(admin));
            Map<String, TopicDescription> topics = new TreeMap<>();
            attempt("topics", () -> topics(admin, brokers.size(), topics));
            attempt("share groups", () -> coordinators(admin, brokers));
            attempt(MODE, () -> mode(admin, topics.containsKey(here.topics().settings())));
            attempt("groups", () -> groups(admin));
        } catch (Problem e) {
            found.add(Finding.fail(
                    "Kafka", Finding.withoutAdvice(e), "KAFKA_BOOTSTRAP_SERVERS, kafka.bootstrap.servers or --kafka"));
        }
        return found;
    }

    /** Runs one check. If it fails, the failure becomes a finding, and the other checks continue. */
    private void attempt(String what, Question question) throws InterruptedException {
        try {
            question.ask();
        } catch (Problem e) {
            found.add(Finding.warn(what, e.line(), ""));
        } catch (ExecutionException | KafkaException e) {
            found.add(Finding.warn(what, "the broker does not report it: " + Reason.of(e), ""));
        }
    }

    private void features(Admin admin) throws Problem, InterruptedException {
        Map<String, FinalizedVersionRange> levels = new TreeMap<>(
                access.get(admin.describeFeatures().featureMetadata()).finalizedFeatures());
        List<String> texts = new ArrayList<>();
        for (String feature : List.of("metadata.version", "group.version", "share.version")) {
            FinalizedVersionRange level = levels.get(feature);
            if (level != null) {
                texts.add(feature + " " + level.maxVersionLevel());
            }
        }
        found.add(Finding.ok("Kafka's features", texts.isEmpty() ? "it lists none" : String.join(", ", texts)));
    }

    private void topics(Admin admin, int brokers, Map<String, TopicDescription> there)
            throws ExecutionException, InterruptedException {
        var requests = admin.describeTopics(here.topics().all().stream()
                        .map(Installation.Topic::name)
                        .toList())
                .topicNameValues();
        List<String> missing = new ArrayList<>();
        for (Installation.Topic topic : here.topics().all()) {
            try {
                there.put(
                        topic.name(),
                        Objects.requireNonNull(requests.get(topic.name())).get());
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw e;
                }
                missing.add(topic.name());
            }
        }
        if (!missing.isEmpty()) {
            String names = String.join(", ", missing);
            found.add(
                    serviceRuns || !here.topics().areMade()
                            ? Finding.fail(
                                    "topics",
                                    "missing: " + names,
                                    here.topics().areMade()
                                            ? "restart Penstock, which makes them"
                                            : "make them (docs/kafka.md), or set penstock.kafka.create-topics to true")
                            : Finding.ok("topics", "missing, and made at the start: " + names));
        }
        TopicLook look = new TopicLook(access.brokers(), brokers, found);
        Map<ConfigResource, Installation.Topic> resources = new HashMap<>();
        for (Installation.Topic topic : here.topics().all()) {
            TopicDescription description = there.get(topic.name());
            if (description != null) {
                resources.put(new ConfigResource(ConfigResource.Type.TOPIC, topic.name()), topic);
            }
        }
        var configs = admin.describeConfigs(resources.keySet()).values();
        for (Installation.Topic topic : here.topics().all()) {
            TopicDescription description = there.get(topic.name());
            if (description != null) {
                look.look(topic, description, configs.get(new ConfigResource(ConfigResource.Type.TOPIC, topic.name())));
            }
        }
    }

    /**
     * Checks the internal topic that group coordinators need. If the broker cannot create this topic, groups receive no
     * records, and only the broker's log has the reason.
     */
    private void coordinators(Admin admin, List<Node> brokers) throws ExecutionException, InterruptedException {
        ConfigResource broker = new ConfigResource(
                ConfigResource.Type.BROKER, brokers.getFirst().idString());
        var config = admin.describeConfigs(List.of(broker)).all().get().get(broker);
        Map<String, String> topics = Map.of(
                "__share_group_state", "share.coordinator.state.topic.replication.factor",
                "__consumer_offsets", "offsets.topic.replication.factor");
        for (Map.Entry<String, String> topic : topics.entrySet()) {
            var entry = config == null ? null : config.get(topic.getValue());
            if (entry != null && entry.value() != null && Integer.parseInt(entry.value()) > brokers.size()) {
                try {
                    admin.describeTopics(List.of(topic.getKey()))
                            .allTopicNames()
                            .get();
                } catch (ExecutionException e) {
                    if (e.getCause() instanceof UnknownTopicOrPartitionException) {
                        found.add(Finding.fail(
                                "groups",
                                "the broker cannot make %s: it wants %s replicas of %d brokers, and groups get nothing until then"
                                        .formatted(topic.getKey(), entry.value(), brokers.size()),
                                "%s=%d in the brokers' configuration (and …min.isr=1 on a single one)"
                                        .formatted(topic.getValue(), brokers.size())));
                    }
                }
            }
        }
    }

    private void mode(Admin admin, boolean isSettled) throws Problem, ExecutionException, InterruptedException {
        boolean share = ShareSupport.isThere(
                admin, here.groups().of(here.topics().jobs().getFirst()));
        found.add(Finding.ok(
                "share groups",
                share ? "usable" : "not usable as Penstock needs them (Kafka 4.3 with share.version 1)"));
        SettingsVersion version = isSettled ? settings() : SettingsVersion.start();
        SettingsVersion.Moving moving = version.moving().orElse(null);
        Optional<IntakeMode> inForce = version.intakeMode();
        if (moving != null) {
            found.add(Finding.fail(
                    MODE,
                    "a change to %s mode broke off".formatted(moving.to().wireName()),
                    "run it again: " + migrate(moving.to())));
        } else if (inForce.isEmpty()) {
            IntakeMode first = here.mode().orElse(share ? IntakeMode.SHARE : IntakeMode.CLASSIC);
            String why = here.mode().isPresent() ? "penstock.intake.mode sets it" : "the broker supports it";
            String detail = "not decided yet; the first start takes %s: %s".formatted(first.wireName(), why);
            found.add(
                    first == IntakeMode.SHARE && !share
                            ? Finding.fail(MODE, detail + ", but the broker has no usable share groups", upgrade())
                            : Finding.ok(MODE, detail));
        } else if (here.mode().isPresent() && !here.mode().equals(inForce)) {
            found.add(Finding.fail(
                    MODE,
                    "%s is in force, but penstock.intake.mode is %s"
                            .formatted(
                                    inForce.get().wireName(), here.mode().get().wireName()),
                    "stop every replica, then: " + migrate(here.mode().get())));
        } else if (inForce.get() == IntakeMode.SHARE && !share) {
            found.add(Finding.fail(MODE, "share is in force, but the broker has no usable share groups", upgrade()));
        } else {
            found.add(Finding.ok(
                    MODE,
                    "%s, decided at an earlier start (topic %s)"
                            .formatted(inForce.get().wireName(), here.topics().settings())));
        }
    }

    private static String upgrade() {
        return "Kafka 4.3, and: kafka-features --bootstrap-server BROKER upgrade --feature share.version=1; or penstock.intake.mode: classic";
    }

    private String migrate(IntakeMode to) {
        Installation.Topics topics = here.topics();
        return MigrateLine.of(access.brokers(), to, topics.jobs(), topics.deferred(), topics.settings(), here.groups());
    }

    private SettingsVersion settings() throws Problem {
        try (KafkaConsumer<byte[], byte[]> reader = access.consumer()) {
            return SettingsTopic.read(reader, here.topics().settings());
        } catch (KafkaException e) {
            throw access.problem(e);
        }
    }

    private void groups(Admin admin) throws Problem, ExecutionException, InterruptedException {
        Map<String, GroupType> types = new HashMap<>();
        for (GroupListing group : access.get(admin.listGroups().all())) {
            types.put(group.groupId(), group.type().orElse(GroupType.UNKNOWN));
        }
        for (String topic : here.topics().jobs()) {
            types.keySet().stream()
                    .filter(group -> here.groups().isOthers(group, topic))
                    .forEach(group -> found.add(Finding.warn(
                            "groups",
                            "%s takes the jobs of %s too: a job runs once for each group".formatted(group, topic),
                            "topics of its own for each installation, or one penstock.groups-prefix (docs/kafka.md)")));
        }
        String ledger = here.groups().ledger();
        int replicas = replicas(admin, ledger);
        if (serviceRuns && replicas == 0) {
            found.add(Finding.warn(
                    "groups",
                    "no replica is in %s".formatted(ledger),
                    "does the service use other topics, another Kafka or another penstock.groups-prefix?"));
        } else {
            found.add(Finding.ok("groups", "%d replica%s in %s".formatted(replicas, replicas == 1 ? "" : "s", ledger)));
        }
        if (!here.ledgerKind().equals("none") && types.containsKey(ledger)) {
            found.add(Finding.ok("ledger's lag", "%d records".formatted(lag(admin, ledger))));
        }
    }

    private static int replicas(Admin admin, String group) throws ExecutionException, InterruptedException {
        try {
            ConsumerGroupDescription description =
                    admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            return description == null ? 0 : description.members().size();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof GroupIdNotFoundException) {
                return 0;
            }
            throw e;
        }
    }

    private long lag(Admin admin, String group) throws Problem, InterruptedException {
        Map<TopicPartition, OffsetAndMetadata> committed =
                new HashMap<>(access.get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()));
        committed.values().removeIf(offset -> offset == null);
        Map<TopicPartition, OffsetSpec> requests = new HashMap<>();
        committed.keySet().forEach(partition -> requests.put(partition, OffsetSpec.latest()));
        long behind = 0;
        for (var end : access.get(admin.listOffsets(requests).all()).entrySet()) {
            OffsetAndMetadata known = committed.get(end.getKey());
            behind += known == null ? 0 : Math.max(0, end.getValue().offset() - known.offset());
        }
        return behind;
    }
}
