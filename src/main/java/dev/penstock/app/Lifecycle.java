package dev.penstock.app;

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
import dev.penstock.wire.Reason;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.ShutdownDelayInitiatedEvent;
import io.quarkus.runtime.ShutdownEvent;
import io.quarkus.runtime.StartupEvent;
import jakarta.annotation.Priority;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.KafkaException;
import org.jboss.logging.Logger;

/**
 * The order in which the parts of the service start and stop. {@link Penstock} has checked the configuration before.
 *
 * <p>HTTP opens when {@link #start} returns, and closes after {@link #drain}. A part that only holds a client of Kafka
 * closes it by itself, at the very end ({@code @PreDestroy}).
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
    private final Intake intake;

    Lifecycle(
            Settings settings,
            KafkaClients kafka,
            Registry registry,
            Nodes nodes,
            BrokerWatch broker,
            SettingsFeed feed,
            ReplyTopic replies,
            Dispatcher dispatcher,
            Intake intake) {
        this.settings = settings;
        this.kafka = kafka;
        this.registry = registry;
        this.nodes = nodes;
        this.broker = broker;
        this.feed = feed;
        this.replies = replies;
        this.dispatcher = dispatcher;
        this.intake = intake;
    }

    /** Starts what needs no broker, and waits for nothing. */
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
            // half a start cannot be repeated in this process
            LOG.error("Penstock cannot start, for an unexpected reason", e);
            Quarkus.asyncExit(1);
        }
    }

    /** Each step waits for the one before it. A drain that begins meanwhile keeps the last step from taking jobs. */
    private void takeJobs() throws InterruptedException, TopicSetup.Unusable, Dispatcher.Unusable {
        Intake.Prepared prepared = intake.prepare();
        replies.learnLimit();
        // all nodes that were added at run time are known when it returns
        feed.follow();
        // all cancellations are known when it returns; the ledger begins to read
        dispatcher.start(prepared.topicIds(), prepared.mode());
        shareNodes();
        intake.takeJobs(prepared);
    }

    /**
     * Before this replica takes its first job, the other replicas must give up a part of their slots. They cannot do so
     * at once.
     */
    private void shareNodes() throws InterruptedException {
        try {
            dispatcher.shareNodes(kafka.admin());
        } catch (ExecutionException | KafkaException e) {
            LOG.warnf("the live replicas are not known yet: %s", Reason.of(e));
        }
    }

    /** While HTTP is still served: clients see the end of their jobs, and the probes report the drain. */
    void drain(@Observes ShutdownDelayInitiatedEvent event) {
        intake.stopTaking();
        try {
            dispatcher.drain(settings.drainTimeout());
            intake.leaveGroups();
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    /** Before the beans that runs need are closed. */
    void stop(@Observes @Priority(100) ShutdownEvent event) {
        dispatcher.stop();
        intake.close();
    }
}
