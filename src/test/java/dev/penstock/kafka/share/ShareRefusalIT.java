package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.kafka.share.lane.Acknowledgement;
import dev.penstock.kafka.share.lane.ShareOptions;
import dev.penstock.kafka.share.lane.TakenRecord;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Conditions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What a real broker refuses is known while it lasts, and the client continues as soon as the broker permits it. */
class ShareRefusalIT {
    private static Broker broker;

    @BeforeAll
    static void start() {
        broker = Broker.start(
                Broker.freePort(),
                Map.of(
                        "authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                        "allow.everyone.if.no.acl.found", "true",
                        "group.share.max.size", "1"));
    }

    @AfterAll
    static void stop() {
        broker.close();
    }

    /** A client that accepts each record at once. */
    private static final class Member implements Receiver, AutoCloseable {
        final List<String> taken = new CopyOnWriteArrayList<>();
        private final ShareClient client = new ShareClient(
                Map.of("bootstrap.servers", broker.bootstrap()),
                ShareOptions.defaults(1 << 20, 1 << 26),
                Duration.ofSeconds(5));
        private final Subscription subscription;

        Member(String topic, String group) {
            subscription = client.subscribe(topic, group, this, 0);
            subscription.room(4);
            client.start();
        }

        void awaitRefusal(String what, String error) throws InterruptedException {
            Conditions.await(
                    () -> subscription.refusals().getOrDefault(what, "").startsWith(error),
                    () -> subscription.refusals().toString());
        }

        void awaitRecord() throws InterruptedException {
            Conditions.await(
                    () -> !taken.isEmpty() && subscription.refusals().isEmpty(),
                    () -> taken + " " + subscription.refusals());
        }

        @Override
        public void taken(TakenRecord record) {
            taken.add(record.toString());
            subscription.finish(record, Acknowledgement.ACCEPT);
        }

        @Override
        public void lost(TakenRecord record, String why) {}

        @Override
        public void damaged(int partition, long offset, String why) {}

        @Override
        public void close() {
            client.close();
        }
    }

    private static void topicWithRecord(String topic) throws Exception {
        try (Admin admin = broker.admin();
                KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                        Map.of("bootstrap.servers", broker.bootstrap()),
                        new ByteArraySerializer(),
                        new ByteArraySerializer())) {
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
            producer.send(new ProducerRecord<>(topic, new byte[1])).get();
        }
    }

    private static String group(String name) throws InterruptedException {
        broker.setGroup(name, "share.auto.offset.reset", "earliest");
        return name;
    }

    private static AclBinding denied(ResourceType type, String name) {
        return new AclBinding(
                new ResourcePattern(type, name, PatternType.LITERAL),
                new AccessControlEntry("User:ANONYMOUS", "*", AclOperation.READ, AclPermissionType.DENY));
    }

    /** A denied READ, which an operator then permits. */
    private static void refusedUntilGranted(String topic, AclBinding acl, String what, String error) throws Exception {
        topicWithRecord(topic);
        group("of-" + topic);
        try (Admin admin = broker.admin()) {
            admin.createAcls(List.of(acl)).all().get();
            try (Member member = new Member(topic, "of-" + topic)) {
                member.awaitRefusal(what, error);
                assertThat(member.taken).isEmpty();

                admin.deleteAcls(List.of(acl.toFilter())).all().get();
                member.awaitRecord();
            }
        }
    }

    @Test
    void a_group_without_read() throws Exception {
        refusedUntilGranted(
                "denied-group",
                denied(ResourceType.GROUP, "of-denied-group"),
                "share session",
                "GROUP_AUTHORIZATION_FAILED");
    }

    @Test
    void a_topic_without_read() throws Exception {
        refusedUntilGranted(
                "denied-topic", denied(ResourceType.TOPIC, "denied-topic"), "heartbeat", "TOPIC_AUTHORIZATION_FAILED");
    }

    @Test
    void a_topic_that_is_not_there_yet() throws Exception {
        try (Member member = new Member("late", group("of-late"))) {
            member.awaitRefusal("topic", "UNKNOWN_TOPIC_OR_PARTITION");

            topicWithRecord("late");
            member.awaitRecord();
        }
    }

    @Test
    void a_group_of_another_kind_with_a_member() throws Exception {
        topicWithRecord("other");
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                Map.of("bootstrap.servers", broker.bootstrap(), "group.id", "of-other", "group.protocol", "consumer"),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer())) {
            consumer.subscribe(List.of("other"));
            Conditions.await(
                    () -> {
                        consumer.poll(Duration.ofMillis(100));
                        return !consumer.assignment().isEmpty();
                    },
                    () -> "the consumer has no partition");

            try (Member member = new Member("other", "of-other")) {
                member.awaitRefusal("heartbeat", "GROUP_ID_NOT_FOUND");
            }
        }
    }

    @Test
    void a_group_that_is_full() throws Exception {
        topicWithRecord("full");
        group("of-full");
        try (Member first = new Member("full", "of-full")) {
            first.awaitRecord();
            try (Member second = new Member("full", "of-full")) {
                Conditions.await(
                        () -> (first.subscription.refusals() + " " + second.subscription.refusals())
                                .contains("heartbeat=GROUP_MAX_SIZE_REACHED"),
                        () -> first.subscription.refusals() + " " + second.subscription.refusals());
            }
        }
    }
}
