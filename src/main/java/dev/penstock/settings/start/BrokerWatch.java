package dev.penstock.settings.start;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.Reason;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import jakarta.annotation.PreDestroy;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Watches whether Kafka answers. From the start on, it asks for the list of brokers once a second. After five seconds
 * without an answer, Kafka counts as unavailable until the next answer. Each change is one log line.
 */
@Singleton
public final class BrokerWatch {
    private static final Logger LOG = Logger.getLogger(BrokerWatch.class);
    private static final Duration PERIOD = Duration.ofSeconds(1);
    private static final int PATIENCE_MILLIS = 2_000;
    private static final Duration SILENCE = Duration.ofSeconds(5);

    private final KafkaClients kafka;
    private final Clock clock;
    private final SupervisedThread thread = new SupervisedThread("penstock-broker-watch", this::run, this::closeAdmin);
    private volatile @Nullable Away away;
    /**
     * The start of the first request without an answer; null if the last request was answered. Only the watch's thread
     * uses it.
     */
    private @Nullable Instant unansweredSince;

    private @Nullable Admin admin;

    /**
     * An outage of Kafka.
     *
     * @param since the start of the first request without an answer
     * @param message the problem and its consequences
     */
    public record Away(Instant since, String message) {}

    /** A request that only the brokers can answer. */
    interface Question {
        void ask() throws ExecutionException, InterruptedException;
    }

    public BrokerWatch(KafkaClients kafka, Clock clock, MeterRegistry meters) {
        this.kafka = kafka;
        this.clock = clock;
        Gauge.builder("penstock.broker.up", this, watch -> watch.away == null ? 1 : 0)
                .description("1 while Kafka answers, 0 after five seconds without an answer")
                .register(meters);
    }

    /** Starts the requests to the broker. */
    public void start() {
        thread.start();
    }

    /** Returns the outage; null if Kafka answers, or if it has not answered for less than five seconds. */
    public @Nullable Away away() {
        return away;
    }

    private void run() throws InterruptedException {
        do {
            look(() -> admin().describeCluster().nodes().get());
        } while (thread.pause(PERIOD));
    }

    /** Asks once. The watch's thread calls it. */
    void look(Question question) throws InterruptedException {
        Instant began = clock.instant();
        try {
            question.ask();
            answered();
        } catch (ExecutionException | RuntimeException e) {
            unanswered(began, e);
        }
    }

    private void answered() {
        unansweredSince = null;
        if (away != null) {
            away = null;
            LOG.infof("Kafka at %s is back", kafka.bootstrapServers());
        }
    }

    private void unanswered(Instant began, Throwable why) {
        Instant since = unansweredSince == null ? began : unansweredSince;
        unansweredSince = since;
        if (away == null && !clock.instant().isBefore(since.plus(SILENCE))) {
            String message =
                    "Kafka at %s does not answer: jobs wait there, submissions over REST are answered 503, and all goes on by itself when it is back (%s). The address is kafka.bootstrap.servers, KAFKA_BOOTSTRAP_SERVERS in the environment"
                            .formatted(kafka.bootstrapServers(), Reason.of(why));
            away = new Away(since, message);
            LOG.warn(message);
        }
    }

    private Admin admin() {
        Admin known = admin;
        if (known == null) {
            known = kafka.admin(
                    "penstock-broker-watch",
                    Map.of(
                            AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG,
                            PATIENCE_MILLIS,
                            AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG,
                            PATIENCE_MILLIS,
                            CommonClientConfigs.RECONNECT_BACKOFF_MAX_MS_CONFIG,
                            500L,
                            CommonClientConfigs.SOCKET_CONNECTION_SETUP_TIMEOUT_MS_CONFIG,
                            1_000L));
            admin = known;
        }
        return known;
    }

    private void closeAdmin() {
        if (admin != null) {
            admin.close(Duration.ZERO);
        }
    }

    @PreDestroy
    void close() {
        thread.stop();
    }
}
