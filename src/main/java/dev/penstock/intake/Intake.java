package dev.penstock.intake;

import dev.penstock.dispatch.Dispatcher;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import io.micrometer.core.instrument.MeterRegistry;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.ShutdownEvent;
import io.quarkus.runtime.StartupEvent;
import jakarta.annotation.Priority;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.kafka.common.KafkaException;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Jobs enter here: a share group for each job topic. Starts when the broker is there, and stops by draining.
 */
@Singleton
public final class Intake {
    private static final Logger LOG = Logger.getLogger(Intake.class);
    private static final Duration RETRY = Duration.ofSeconds(2);

    private final Settings settings;
    private final KafkaSettings kafka;
    private final Dispatcher dispatcher;
    private final Held.Writers writers;
    private final Clock clock;
    private final ReplyTopic replies;
    private final Recovery recovery;
    private final QueueLag lag;
    private final List<TopicIntake> topics = new CopyOnWriteArrayList<>();
    private volatile @Nullable DeferredIntake deferred;
    private volatile State state = State.STARTING;

    /** Where the intake is in its life. */
    public enum State {
        /** The broker has not been reached yet. */
        STARTING,
        RUNNING,
        DRAINING
    }

    public Intake(
            Settings settings,
            KafkaSettings kafka,
            Dispatcher dispatcher,
            DeadLetters deadLetters,
            SetAsideJobs setAside,
            Clock clock,
            ReplyTopic replies,
            Recovery recovery,
            MeterRegistry meters) {
        this.settings = settings;
        this.kafka = kafka;
        this.dispatcher = dispatcher;
        writers = new Held.Writers(setAside, deadLetters);
        this.clock = clock;
        this.replies = replies;
        this.recovery = recovery;
        lag = new QueueLag(kafka, settings, meters);
    }

    public State state() {
        return state;
    }

    void start(@Observes StartupEvent event) {
        Thread.ofPlatform().daemon().name("penstock-start").start(() -> {
            try {
                begin();
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            } catch (TopicSetup.Unusable | Dispatcher.Unusable e) {
                LOG.errorf("Penstock cannot start: %s", e.getMessage());
                Quarkus.asyncExit(1);
            }
        });
    }

    private void begin() throws InterruptedException, TopicSetup.Unusable, Dispatcher.Unusable {
        List<TopicSetup.Found> found = ensureTopics();
        Map<String, UUID> topicIds = new HashMap<>();
        found.forEach(topic -> topicIds.put(topic.topic().name(), topic.id()));
        dispatcher.start(topicIds);
        if (settings.intake().enabled()) {
            JobRecords records = new JobRecords(found, settings, dispatcher, replies, recovery);
            found.forEach(topic -> join(topic, records));
            deferred = new DeferredIntake(settings, kafka, records, dispatcher, writers, dispatcher::isOpen, clock);
            deferred.start();
        }
        lag.start();
        state = State.RUNNING;
        LOG.infof(
                "taking jobs from %s, answers go to %s",
                settings.intake().enabled()
                        ? settings.intake().topics().stream()
                                .map(Settings.JobTopic::name)
                                .toList()
                        : "no topic (penstock.intake.enabled is false)",
                replies.name());
    }

    private List<TopicSetup.Found> ensureTopics() throws InterruptedException, TopicSetup.Unusable {
        TopicSetup setup = new TopicSetup(kafka, settings);
        while (true) {
            try {
                return setup.ensure();
            } catch (KafkaException e) {
                LOG.warnf("the broker at %s cannot be used yet: %s", kafka.bootstrapServers(), e.getMessage());
                Thread.sleep(RETRY);
            }
        }
    }

    private void join(TopicSetup.Found found, JobRecords records) {
        TopicIntake topic = new TopicIntake(found, settings, kafka, records, dispatcher, writers, dispatcher::isOpen);
        topics.add(topic);
        topic.start();
    }

    /** Before the beans that runs need are closed. */
    void stop(@Observes @Priority(100) ShutdownEvent event) {
        state = State.DRAINING;
        topics.forEach(TopicIntake::stop);
        DeferredIntake copies = deferred;
        if (copies != null) {
            copies.stop();
        }
        try {
            dispatcher.drain(settings.drainTimeout());
            topics.forEach(TopicIntake::close);
            for (TopicIntake topic : topics) {
                topic.awaitClosed();
            }
            if (copies != null) {
                copies.awaitClosed();
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
        dispatcher.stop();
        lag.close();
    }
}
