package dev.penstock.app;

import dev.penstock.direct.CallsInFlight;
import dev.penstock.dispatch.Dispatcher;
import dev.penstock.intake.Intake;
import dev.penstock.intake.setup.TopicSetup;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.node.Nodes;
import dev.penstock.node.Registry;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.Settings;
import dev.penstock.settings.start.BrokerWatch;
import dev.penstock.settings.topic.SettingsFeed;
import dev.penstock.webhook.Webhooks;
import dev.penstock.wire.Reason;
import io.quarkus.runtime.ImageMode;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.ShutdownDelayInitiatedEvent;
import io.quarkus.runtime.ShutdownEvent;
import io.quarkus.runtime.StartupEvent;
import jakarta.annotation.Priority;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.KafkaException;
import org.jboss.logging.Logger;

/**
 * Starts and stops the parts of the service in a fixed order. {@link Penstock} checks the configuration first.
 *
 * <p>HTTP opens when {@link #start} returns, and closes after {@link #drain}. A part that only holds a Kafka client
 * closes the client itself at the very end ({@code @PreDestroy}).
 */
@Singleton
final class Lifecycle {
    private static final Logger LOG = Logger.getLogger(Lifecycle.class);

    private final Settings settings;
    private final KafkaClients kafka;
    private final Registry registry;
    private final Nodes nodes;
    private final BrokerWatch broker;
    private final SettingsFeed feed;
    private final ReplyTopic replies;
    private final Dispatcher dispatcher;
    private final CallsInFlight calls;
    private final Intake intake;
    private final Webhooks webhooks;

    Lifecycle(
            Settings settings,
            KafkaClients kafka,
            Registry registry,
            Nodes nodes,
            BrokerWatch broker,
            SettingsFeed feed,
            ReplyTopic replies,
            Dispatcher dispatcher,
            CallsInFlight calls,
            Intake intake,
            Webhooks webhooks) {
        this.settings = settings;
        this.kafka = kafka;
        this.registry = registry;
        this.nodes = nodes;
        this.broker = broker;
        this.feed = feed;
        this.replies = replies;
        this.dispatcher = dispatcher;
        this.calls = calls;
        this.intake = intake;
        this.webhooks = webhooks;
    }

    /** Starts the parts that need no broker. Does not wait. */
    void start(@Observes StartupEvent event) {
        registry.start();
        nodes.start();
        broker.start();
        Thread.ofPlatform().daemon().name("penstock-start").start(this::startWithBroker);
    }

    private void startWithBroker() {
        try {
            takeJobs();
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        } catch (TopicSetup.Unusable | Dispatcher.Unusable e) {
            LOG.errorf("Penstock cannot start: %s", e.getMessage());
            Quarkus.asyncExit(1);
        } catch (RuntimeException | Error e) {
            // a start that failed halfway cannot be repeated in this process
            LOG.error("Penstock cannot start, for an unexpected reason", e);
            Quarkus.asyncExit(1);
        }
    }

    /**
     * Starts the parts that need the broker, one after the other. If a drain begins during the start, the intake takes
     * no jobs.
     */
    private void takeJobs() throws InterruptedException, TopicSetup.Unusable, Dispatcher.Unusable {
        Intake.Prepared prepared = intake.prepare();
        replies.learnLimit();
        // returns when all nodes that were added at run time are known
        feed.follow();
        // starts the ledger, and returns when all cancellations are known
        dispatcher.start(prepared.topicIds(), prepared.mode());
        shareLimits();
        intake.takeJobs(prepared);
        webhooks.start();
        if (ImageMode.current() == ImageMode.NATIVE_RUN) {
            new IdleMemory(() -> dispatcher.size() + calls.size()).start();
        }
    }

    /**
     * Shares the limits of the nodes and of the tenants with the other replicas. This step comes before the first job, because the other
     * replicas need time to give up a part of their slots.
     */
    private void shareLimits() throws InterruptedException {
        try {
            dispatcher.shareLimits(kafka.admin());
        } catch (ExecutionException | KafkaException e) {
            LOG.warnf("the live replicas are not known yet: %s", Reason.of(e));
        }
    }

    /**
     * Drains the replica while HTTP is still served. Clients see their jobs and calls end, and the health probes report
     * the drain.
     */
    void drain(@Observes ShutdownDelayInitiatedEvent event) {
        intake.stopTaking();
        calls.stopTaking();
        try {
            // both end within the same time
            long until = System.nanoTime() + settings.drainTimeout().toNanos();
            dispatcher.drain(settings.drainTimeout());
            calls.drain(Duration.ofNanos(Math.max(0, until - System.nanoTime())));
            intake.leaveGroups();
            webhooks.stop();
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    /** Stops the remaining parts before Quarkus closes the beans that runs need. */
    void stop(@Observes @Priority(100) ShutdownEvent event) {
        dispatcher.stop();
        intake.close();
    }
}
