package dev.penstock.intake;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.dispatch.TestDispatchers;
import dev.penstock.dispatch.Waits;
import dev.penstock.intake.record.DeferredJobs;
import dev.penstock.intake.record.PausedTime;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.node.FakeNodes;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.PlayedRecovery;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.Settings;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.settings.start.BrokerWatch;
import dev.penstock.settings.topic.SettingsFeed;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.Map;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The intake as it reports itself, and its stop, before it has reached a broker. */
@Timeout(60)
class IntakeTest {
    private final PausedTime time = new PausedTime();
    private final Settings settings = TestSettings.ofFile(Map.of(
            "penstock.nodes.gpu-a.backend", "vllm",
            "penstock.nodes.gpu-a.url", "http://127.0.0.1:1"));
    private final FakeNodes nodes = new FakeNodes(settings, time);
    private final KafkaClients kafka =
            new KafkaClients(Map.of("bootstrap.servers", "broker.example:9092"), settings.maxRecord());
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    private final Intake intake = intake();

    private Intake intake() {
        MockProducer<byte[], byte[]> producer =
                new MockProducer<>(true, null, new ByteArraySerializer(), new ByteArraySerializer());
        ReplyTopic replies = new ReplyTopic("prompt-replies", producer, settings.maxRecord(), () -> 1 << 30);
        Recovery recovery = PlayedRecovery.of(replies, producer);
        return new Intake(
                settings,
                kafka,
                new SettingsFeed(kafka, settings),
                TestDispatchers.of(settings, nodes, replies, recovery, time),
                new DeadLetters("prompt-jobs-dlq", producer, meters),
                new DeferredJobs(producer, settings, time, meters),
                time,
                replies,
                recovery,
                meters,
                TestDispatchers.traces(),
                new BrokerWatch(kafka, time, meters),
                new Waits(settings, nodes, new Scheduler(settings, nodes, time, new SimpleMeterRegistry()), time));
    }

    @Test
    void before_the_broker_is_reached_it_starts_and_names_the_broker() {
        assertThat(intake.state()).isEqualTo(Intake.State.STARTING);
        assertThat(intake.standing())
                .containsEntry("broker", "broker.example:9092 has not been reached yet")
                .containsEntry("in_hand", "0")
                .containsEntry("parked", "0")
                .containsEntry("suspects", "0")
                .doesNotContainKeys("mode", "ledger", "warning.broker");
    }

    @Test
    void its_figures_are_there_from_the_start() {
        assertThat(meters.get("penstock.intake.bytes").gauge().value()).isZero();
        assertThat(meters.get("penstock.settings.version").gauge().value())
                .as("none is in force")
                .isEqualTo(-1);
    }

    @Test
    void a_drain_during_the_start_stays_one_and_ends_at_once() throws InterruptedException {
        intake.stopTaking();
        intake.leaveGroups();

        assertThat(intake.state()).isEqualTo(Intake.State.DRAINING);
        assertThat(intake.standing()).containsEntry("broker", "reachable");
    }
}
