package dev.penstock.intake.watch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.dispatch.TestDispatchers;
import dev.penstock.intake.record.PartitionsInFlight;
import dev.penstock.intake.record.PausedTime;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.node.FakeNodes;
import dev.penstock.reply.PlayedRecovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.settings.start.BrokerWatch;
import dev.penstock.testkit.Conditions;
import dev.penstock.wire.record.IntakeMode;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Which checks are made. The broker refuses each of them. */
@Timeout(60)
class QueueWatchTest {
    private final PausedTime time = new PausedTime();
    private final Settings settings = TestSettings.ofFile(Map.of(
            "penstock.nodes.gpu-a.backend", "vllm",
            "penstock.nodes.gpu-a.url", "http://127.0.0.1:1",
            "penstock.intake.topics[0].name", "jobs",
            "penstock.intake.topics[1].name", "more-jobs"));
    private final List<String> asked = new CopyOnWriteArrayList<>();
    private final CountDownLatch closed = new CountDownLatch(1);
    private final QueueWatch watch = watch();

    private QueueWatch watch() {
        KafkaClients kafka = new KafkaClients(Map.of("bootstrap.servers", "broker:9092"), settings.maxRecord());
        SimpleMeterRegistry meters = new SimpleMeterRegistry();
        MockProducer<byte[], byte[]> producer =
                new MockProducer<>(true, null, new ByteArraySerializer(), new ByteArraySerializer());
        FakeNodes nodes = new FakeNodes(settings, time);
        nodes.server("gpu-a").up("m");
        ReplyTopic replies = new ReplyTopic("prompt-replies", producer, settings.maxRecord(), () -> 1 << 30);
        return new QueueWatch(
                kafka,
                settings,
                time,
                meters,
                new BrokerWatch(kafka, time, meters),
                TestDispatchers.of(settings, nodes, replies, PlayedRecovery.of(replies, producer), time),
                new PartitionsInFlight(settings, time, meters),
                this::broker);
    }

    private Admin broker() {
        return (Admin)
                Proxy.newProxyInstance(Admin.class.getClassLoader(), new Class<?>[] {Admin.class}, (_, method, _) -> {
                    if (method.getName().equals("close")) {
                        closed.countDown();
                        return null;
                    }
                    asked.add(method.getName());
                    throw new KafkaException("of the test");
                });
    }

    @Test
    void a_check_that_fails_does_not_keep_the_others_from_being_made() throws InterruptedException {
        watch.check(IntakeMode.SHARE);

        assertThat(withoutReplicas())
                .containsExactly(
                        "describeConfigs",
                        "listShareGroupOffsets",
                        "listShareGroupOffsets",
                        "describeShareGroups",
                        "listConsumerGroupOffsets");
    }

    @Test
    void in_classic_mode_the_lag_of_every_topic_is_a_consumer_groups() throws InterruptedException {
        watch.check(IntakeMode.CLASSIC);

        assertThat(withoutReplicas())
                .containsExactly(
                        "describeConfigs",
                        "listConsumerGroupOffsets",
                        "listConsumerGroupOffsets",
                        "listConsumerGroupOffsets");
    }

    @Test
    void it_checks_until_it_is_closed_and_closes_its_client() throws InterruptedException {
        watch.start(IntakeMode.SHARE, Map.of("jobs", 100), List.of(new TopicPartition("jobs", 0)));
        Conditions.await(() -> asked.contains("listConsumerGroupOffsets"));
        assertThat(watch.windowUsed()).isEqualTo(Map.of("jobs", 0.0));
        assertThat(watch.lag()).isEmpty();

        watch.close();
        assertThat(closed.await(20, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void a_warning_of_the_start_is_in_health() {
        watch.warn("group.other", "takes the same jobs");

        assertThat(watch.warnings()).isEqualTo(Map.of("group.other", "takes the same jobs"));
    }

    /** How the replicas are listed depends on the ledger. */
    private List<String> withoutReplicas() {
        List<String> rest = new ArrayList<>(asked);
        rest.removeIf(method -> method.equals("describeConsumerGroups") || method.equals("describeClassicGroups"));
        return rest;
    }
}
