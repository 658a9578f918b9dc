package dev.penstock.webhook;

import dev.penstock.kafka.KafkaClients;
import dev.penstock.ledger.Ledger;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.WebhookTopic;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.vertx.core.Vertx;
import jakarta.inject.Singleton;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.jboss.logging.Logger;

/** Posts outcomes to webhooks, if any is configured. {@code app.Lifecycle} starts and stops it. */
@Singleton
public final class Webhooks {
    private static final Logger LOG = Logger.getLogger(Webhooks.class);
    private static final Duration SESSION_TIMEOUT = Duration.ofSeconds(10);
    private static final Duration HEARTBEAT = Duration.ofSeconds(1);
    private static final Duration AFTER_FAILURE = Duration.ofSeconds(30);
    private static final Duration CLOSE_WITHIN = Duration.ofSeconds(8);
    /** The records of all webhooks together may fill this part of the heap. */
    private static final int HEAP_SHARE = 32;

    private static final long LEAST_BYTES = 8L << 20;

    private final Settings settings;
    private final KafkaClients kafka;
    private final Poster poster;
    private final Deliveries deliveries;
    private final WebhookLoop loop;
    private final SupervisedThread thread;
    private final CountDownLatch stopping = new CountDownLatch(1);
    /** Guarded by this. */
    private boolean started;

    public Webhooks(
            Settings settings,
            KafkaClients kafka,
            WebhookTopic topic,
            DeadLetters deadLetters,
            Ledger ledger,
            Recovery recovery,
            Vertx vertx,
            Clock clock,
            MeterRegistry meters) {
        this.settings = settings;
        this.kafka = kafka;
        poster = new Poster(vertx);
        long bytes = Math.max(LEAST_BYTES, Runtime.getRuntime().maxMemory() / HEAP_SHARE);
        deliveries = new Deliveries(
                settings.webhooks(),
                new Deliveries.Parts(
                        new Confirmation(ledger, recovery)::look, poster::post, this::pause, topic, deadLetters),
                clock,
                meters,
                bytes);
        loop = new WebhookLoop(new WebhookLoop.Setup(
                settings.topics().webhooks(),
                this::consumer,
                this::deliver,
                2 * Lanes.RECORDS,
                2 * bytes,
                meters.counter("penstock.webhooks.strange"),
                clock));
        thread = new SupervisedThread("penstock-webhooks", this::read);
        Gauge.builder("penstock.webhooks.in.flight", loop, WebhookLoop::inFlight)
                .register(meters);
    }

    /** Starts to post outcomes, if a webhook is configured and this replica takes jobs. */
    public synchronized void start() {
        if (!started
                && !isStopping()
                && !settings.webhooks().isEmpty()
                && settings.intake().enabled()) {
            started = true;
            thread.start();
            LOG.infof(
                    "outcomes are posted to the webhooks %s",
                    settings.webhooks().keySet().stream().sorted().toList());
        }
    }

    private void read() {
        loop.run();
        if (!isStopping()) {
            throw new IllegalStateException("the reader of the webhook topic has ended");
        }
    }

    private boolean isStopping() {
        return stopping.getCount() == 0;
    }

    private boolean pause(Duration length) throws InterruptedException {
        return !stopping.await(length.toNanos(), TimeUnit.NANOSECONDS);
    }

    /** The end of a delivery's thread is harmless: it ends early only if the replica stops. */
    private void deliver(WebhookLoop.Taken taken) {
        Thread.ofVirtual().name("penstock-webhook").start(() -> {
            try {
                while (!isDelivered(taken)) {
                    if (!pause(AFTER_FAILURE)) {
                        return;
                    }
                }
                loop.finished(taken);
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });
    }

    private boolean isDelivered(WebhookLoop.Taken taken) throws InterruptedException {
        try {
            return deliveries.deliver(taken.record(), taken.raw());
        } catch (RuntimeException e) {
            LOG.errorf(
                    e,
                    "job=%s webhook=%s an unexpected exception ended the delivery; it is tried again",
                    taken.record().id(),
                    taken.record().webhook());
            return false;
        }
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        String group = settings.groups().webhooks();
        return kafka.reader(
                group,
                Map.of(
                        ConsumerConfig.GROUP_ID_CONFIG,
                        group,
                        ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG,
                        CooperativeStickyAssignor.class.getName(),
                        ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG,
                        (int) SESSION_TIMEOUT.toMillis(),
                        ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG,
                        (int) HEARTBEAT.toMillis(),
                        ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                        Lanes.RECORDS,
                        ConsumerConfig.FETCH_MAX_BYTES_CONFIG,
                        settings.intake().fetchBytes()));
    }

    /** Returns the warnings for the operator: for each webhook whose posts fail, why they fail. */
    public Map<String, String> warnings() {
        return deliveries.troubles();
    }

    /** Ends the posts that wait, and leaves the group. A record that is not finished goes to another replica. */
    public synchronized void stop() throws InterruptedException {
        stopping.countDown();
        // before the loop ends: otherwise its end would count as unexpected
        thread.stop();
        loop.close();
        if (started) {
            thread.join(CLOSE_WITHIN);
        }
        poster.close();
    }
}
