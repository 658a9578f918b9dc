package dev.penstock.intake;

import dev.penstock.dispatch.Dispatcher;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.ReplyTopic;
import dev.penstock.settings.KafkaSettings;
import dev.penstock.settings.Settings;
import dev.penstock.settings.SettingsFeed;
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
import java.util.stream.IntStream;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
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
    private final SettingsFeed feed;
    private final Dispatcher dispatcher;
    private final Held.Writers writers;
    private final Clock clock;
    private final ReplyTopic replies;
    private final Recovery recovery;
    private final QueueLag lag;
    private final List<Source> sources = new CopyOnWriteArrayList<>();
    private volatile @Nullable LeaderEpochs epochs;
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
            SettingsFeed feed,
            Dispatcher dispatcher,
            DeadLetters deadLetters,
            SetAsideJobs setAside,
            Clock clock,
            ReplyTopic replies,
            Recovery recovery,
            MeterRegistry meters) {
        this.settings = settings;
        this.kafka = kafka;
        this.feed = feed;
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
        TopicSetup setup = new TopicSetup(kafka, settings);
        List<TopicSetup.Found> found = asking(setup::ensure);
        ModeChoice.Chosen chosen = asking(new ModeChoice(settings, kafka)::choose);
        Map<String, UUID> topicIds = new HashMap<>();
        found.forEach(topic -> topicIds.put(topic.topic().name(), topic.id()));
        feed.follow();
        dispatcher.start(topicIds, chosen.mode());
        if (settings.intake().enabled()) {
            JobRecords records = new JobRecords(found, settings, dispatcher, replies, recovery);
            LogIntake.Parts parts = new LogIntake.Parts(settings, kafka, records, dispatcher, writers, clock);
            switch (chosen.mode()) {
                case SHARE -> {
                    Map<String, Integer> limits = asking(setup::ensureShareGroups);
                    LeaderEpochs asking = new LeaderEpochs(kafka, partitions(found));
                    asking.start();
                    epochs = asking;
                    ShareHeld.Origins origins = new ShareHeld.Origins(chosen, asking);
                    for (TopicSetup.Found topic : found) {
                        int limit = limits.getOrDefault(topic.topic().name(), Integer.MAX_VALUE);
                        join(new TopicIntake(topic, settings, kafka, records, dispatcher, writers, limit, origins));
                    }
                }
                case CLASSIC -> found.forEach(topic -> join(LogIntake.ofJobs(parts, topic.topic())));
            }
            join(LogIntake.ofDeferred(parts));
        }
        lag.start(chosen.mode());
        state = State.RUNNING;
        LOG.infof(
                "taking jobs in %s mode from %s, answers go to %s",
                chosen.mode().wireName(),
                settings.intake().enabled()
                        ? settings.intake().topics().stream()
                                .map(Settings.JobTopic::name)
                                .toList()
                        : "no topic (penstock.intake.enabled is false)",
                replies.name());
    }

    /** Something that only the broker can say. */
    private interface Question<T> {
        T ask() throws InterruptedException, TopicSetup.Unusable;
    }

    private <T> T asking(Question<T> question) throws InterruptedException, TopicSetup.Unusable {
        while (true) {
            try {
                return question.ask();
            } catch (KafkaException e) {
                LOG.warnf("the broker at %s cannot be used yet: %s", kafka.bootstrapServers(), e.getMessage());
                Thread.sleep(RETRY);
            }
        }
    }

    private static List<TopicPartition> partitions(List<TopicSetup.Found> topics) {
        return topics.stream()
                .flatMap(found -> IntStream.range(0, found.partitions())
                        .mapToObj(partition -> new TopicPartition(found.topic().name(), partition)))
                .toList();
    }

    private void join(Source source) {
        sources.add(source);
        source.start();
    }

    /** Before the beans that runs need are closed. */
    void stop(@Observes @Priority(100) ShutdownEvent event) {
        state = State.DRAINING;
        sources.forEach(Source::stop);
        try {
            dispatcher.drain(settings.drainTimeout());
            sources.forEach(Source::close);
            for (Source source : sources) {
                source.awaitClosed();
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
        dispatcher.stop();
        LeaderEpochs asking = epochs;
        if (asking != null) {
            asking.close();
        }
        lag.close();
    }
}
