package dev.penstock.dispatch;

import dev.penstock.execution.ExecutionContext;
import dev.penstock.execution.RunMeters;
import dev.penstock.ledger.AbsentLedger;
import dev.penstock.node.Nodes;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.reply.WebhookTopic;
import dev.penstock.schedule.Scheduler;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.opentelemetry.api.OpenTelemetry;
import java.time.Clock;
import org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Dispatchers without a service around them. */
public final class TestDispatchers {
    private TestDispatchers() {}

    /** @param clock that its runs see */
    public static Dispatcher of(Settings settings, Nodes nodes, ReplyTopic replies, Recovery recovery, Clock clock) {
        SimpleMeterRegistry meters = new SimpleMeterRegistry();
        CancelCommands commands = new CancelCommands(
                () -> new MockConsumer<>("earliest"),
                new MockProducer<>(true, null, new ByteArraySerializer(), new ByteArraySerializer()),
                settings.topics().commands(),
                Clock.systemUTC());
        Scheduler scheduler = new Scheduler(settings, nodes, Clock.systemUTC(), meters);
        return new Dispatcher(
                replies,
                new WebhookTopic(settings, null, clock),
                commands,
                scheduler,
                recovery,
                new AbsentLedger(settings, replies),
                nodes,
                meters,
                new ExecutionContext(
                        settings, clock, System::nanoTime, () -> 0, new RunMeters(meters), traces().tracer()),
                new Waits(settings, nodes, scheduler, Clock.systemUTC()));
    }

    /** Traces that nothing receives. */
    public static Traces traces() {
        return new Traces(OpenTelemetry.noop(), true);
    }
}
