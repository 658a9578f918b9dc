package dev.penstock.webhook;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.RecordPlace;
import dev.penstock.reply.DeadLetters;
import dev.penstock.reply.WebhookDelay;
import dev.penstock.reply.WebhookRecord;
import dev.penstock.reply.WebhookTopic;
import dev.penstock.settings.Settings;
import dev.penstock.settings.Webhook;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.PlayedClock;
import dev.penstock.testkit.PlayedProducer;
import dev.penstock.wire.record.EventHeaders;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class DeliveriesTest {
    private static final Map<String, String> CONFIGURED = Map.of(
            "penstock.webhooks.orders.url", "http://127.0.0.1:1/hook",
            "penstock.webhooks.orders.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "penstock.webhooks.other.url", "http://127.0.0.1:1/other",
            "penstock.webhooks.other.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

    private volatile Instant now = Instant.parse("2026-05-01T12:00:00Z");
    private final Clock clock = PlayedClock.of(() -> now);
    private final Settings settings = TestSettings.ofFile(CONFIGURED);
    private final MockProducer<byte[], byte[]> topic = PlayedProducer.of("prompt-webhooks", 6);
    private final MockProducer<byte[], byte[]> dlq = PlayedProducer.of("prompt-jobs-dlq", 1);
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    /** The standings that the next looks find; then VALID. */
    private final Deque<Confirmation.Standing> standings = new ArrayDeque<>();

    private final AtomicInteger looks = new AtomicInteger();
    private final Deque<PostResult> results = new ArrayDeque<>();
    private final List<WebhookRecord> posted = new CopyOnWriteArrayList<>();
    private volatile boolean stops;
    private final Deliveries deliveries = deliveries(this::post);

    private Deliveries deliveries(Deliveries.Posts posts) {
        return new Deliveries(
                settings.webhooks(),
                new Deliveries.Parts(
                        this::look,
                        posts,
                        _ -> !stops,
                        new WebhookTopic(settings, topic, clock),
                        new DeadLetters("prompt-jobs-dlq", dlq, meters)),
                clock,
                meters,
                1 << 20);
    }

    private Confirmation.Standing look(WebhookRecord record, Duration age) {
        looks.incrementAndGet();
        Confirmation.Standing next = standings.poll();
        return next == null ? Confirmation.Standing.VALID : next;
    }

    private PostResult post(Webhook webhook, WebhookRecord record, Instant at) {
        posted.add(record);
        PostResult next = results.poll();
        return next == null ? new PostResult.Taken() : next;
    }

    private boolean deliver(WebhookRecord record) throws InterruptedException {
        return deliver(deliveries, record);
    }

    private static boolean deliver(Deliveries deliveries, WebhookRecord record) throws InterruptedException {
        ProducerRecord<byte[], byte[]> raw = raw(record);
        ConsumerRecord<byte[], byte[]> read = new ConsumerRecord<>("prompt-webhooks", 0, 7, raw.key(), raw.value());
        raw.headers().forEach(read.headers()::add);
        return deliveries.deliver(record, read);
    }

    /** Returns the record as it lies on the topic. */
    private static ProducerRecord<byte[], byte[]> raw(WebhookRecord record) {
        MockProducer<byte[], byte[]> producer = PlayedProducer.of("prompt-webhooks", 6);
        new WebhookTopic(TestSettings.ofFile(CONFIGURED), producer, Clock.systemUTC())
                .write(record, WebhookDelay.NONE)
                .join();
        return producer.history().getFirst();
    }

    private WebhookRecord announced(String job) {
        return TestRecords.announced("orders", job, now);
    }

    private static String header(ProducerRecord<byte[], byte[]> record, String name) {
        return String.valueOf(EventHeaders.text(record.headers(), name));
    }

    private double counted(String result) {
        return meters.get("penstock.webhooks")
                .tags("webhook", "orders", "result", result)
                .counter()
                .count();
    }

    @Test
    void a_valid_outcome_is_posted_once() throws Exception {
        assertThat(deliver(announced("a"))).isTrue();

        assertThat(posted).hasSize(1);
        assertThat(topic.history()).isEmpty();
        assertThat(counted("delivered")).isEqualTo(1);
    }

    @Test
    void a_void_outcome_is_not_posted() throws Exception {
        standings.add(Confirmation.Standing.VOID);

        assertThat(deliver(announced("a"))).isTrue();
        assertThat(posted).isEmpty();
        assertThat(topic.history()).isEmpty();
    }

    @Test
    void an_outcome_that_comes_a_moment_later_is_waited_for() throws Exception {
        standings.addAll(List.of(Confirmation.Standing.OPEN, Confirmation.Standing.OPEN));

        assertThat(deliver(announced("a"))).isTrue();
        assertThat(posted).hasSize(1);
        assertThat(looks).hasValue(3);
    }

    @Test
    void an_outcome_that_stays_away_is_looked_for_later_and_no_post_counts_as_failed() throws Exception {
        IntStream.range(0, 6).forEach(_ -> standings.add(Confirmation.Standing.OPEN));

        assertThat(deliver(announced("a"))).isTrue();

        assertThat(posted).isEmpty();
        assertThat(topic.history()).singleElement().satisfies(later -> {
            assertThat(later.partition()).isEqualTo(1);
            assertThat(header(later, "penstock-webhook-failed")).isEqualTo("0");
            assertThat(header(later, "penstock-webhook-valid")).isEqualTo("null");
            assertThat(header(later, "penstock-not-before"))
                    .isEqualTo(Long.toString(now.plusSeconds(5).toEpochMilli()));
        });
    }

    @Test
    void a_failed_post_is_written_for_later_and_not_looked_up_again() throws Exception {
        results.add(new PostResult.Failed("the receiver answered 503"));

        assertThat(deliver(announced("a"))).isTrue();

        ProducerRecord<byte[], byte[]> later = topic.history().getFirst();
        assertThat(later.partition()).isEqualTo(1);
        assertThat(header(later, "penstock-webhook-failed")).isEqualTo("1");
        assertThat(later.value()).isEqualTo(announced("a").event().get());
        assertThat(deliveries.troubles().get("orders")).contains("1 posts in a row", "the receiver answered 503");

        ConsumerRecord<byte[], byte[]> read = new ConsumerRecord<>("prompt-webhooks", 1, 0, later.key(), later.value());
        later.headers().forEach(read.headers()::add);
        assertThat(deliver(WebhookRecord.of(read).orElseThrow())).isTrue();
        assertThat(looks).hasValue(1);
        assertThat(posted).hasSize(2);
        assertThat(posted.getFirst().messageId()).isEqualTo(posted.getLast().messageId());
        assertThat(deliveries.troubles()).isEmpty();
        assertThat(counted("retried")).isEqualTo(1);
    }

    @Test
    void an_outcome_that_nobody_takes_becomes_a_dead_letter_after_a_day() throws Exception {
        WebhookRecord record = announced("a").asValid().failedAgain(now);
        now = now.plus(Duration.ofHours(24));
        results.add(new PostResult.Failed("the receiver answered 500"));

        assertThat(deliver(record)).isTrue();

        assertThat(topic.history()).isEmpty();
        ProducerRecord<byte[], byte[]> letter = dlq.history().getFirst();
        assertThat(header(letter, "dlq-reason")).isEqualTo("webhook_failed");
        assertThat(header(letter, "dlq-job-id")).isEqualTo("a");
        assertThat(header(letter, "dlq-attempts")).isEqualTo("2");
        assertThat(header(letter, "penstock-webhook")).isEqualTo("orders");
        assertThat(letter.value()).isEqualTo(record.event().get());
        assertThat(counted("failed")).isEqualTo(1);
    }

    @Test
    void an_unknown_webhook_is_tried_later_as_another_configuration_may_have_it() throws Exception {
        assertThat(deliver(TestRecords.announced("gone", "a", now))).isTrue();

        assertThat(posted).isEmpty();
        assertThat(topic.history())
                .singleElement()
                .satisfies(later ->
                        assertThat(header(later, "penstock-webhook-failed")).isEqualTo("1"));
    }

    @Test
    void a_record_is_not_finished_before_its_retry_is_on_the_broker() throws Exception {
        MockProducer<byte[], byte[]> slow = PlayedProducer.of("prompt-webhooks", 6, false);
        results.add(new PostResult.Failed("no"));
        Deliveries waiting = new Deliveries(
                settings.webhooks(),
                new Deliveries.Parts(
                        this::look,
                        this::post,
                        _ -> !stops,
                        new WebhookTopic(settings, slow, clock),
                        new DeadLetters("prompt-jobs-dlq", dlq, meters)),
                clock,
                meters,
                1 << 20);
        List<Boolean> ended = new CopyOnWriteArrayList<>();
        Thread thread = Thread.ofVirtual().start(() -> {
            try {
                ended.add(deliver(waiting, announced("a")));
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });

        Conditions.await(() -> slow.history().size() == 1);
        assertThat(ended).isEmpty();
        slow.errorNext(new TimeoutException("away"));
        Conditions.await(() -> slow.history().size() == 2);
        assertThat(ended).isEmpty();
        slow.completeNext();
        thread.join();
        assertThat(ended).containsExactly(true);
    }

    @Test
    void a_record_stays_unfinished_if_the_replica_stops_while_the_broker_is_away() throws Exception {
        MockProducer<byte[], byte[]> slow = PlayedProducer.of("prompt-webhooks", 6, false);
        results.add(new PostResult.Failed("no"));
        Deliveries stopping = new Deliveries(
                settings.webhooks(),
                new Deliveries.Parts(
                        this::look,
                        this::post,
                        _ -> false,
                        new WebhookTopic(settings, slow, clock),
                        new DeadLetters("prompt-jobs-dlq", dlq, meters)),
                clock,
                meters,
                1 << 20);
        List<Boolean> ended = new CopyOnWriteArrayList<>();
        Thread thread = Thread.ofVirtual().start(() -> {
            try {
                ended.add(deliver(stopping, announced("a")));
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });

        Conditions.await(() -> slow.history().size() == 1);
        slow.errorNext(new TimeoutException("away"));
        thread.join();
        assertThat(ended).containsExactly(false);
    }

    @Test
    void a_slow_receiver_holds_up_no_other_webhook() throws Exception {
        CountDownLatch hung = new CountDownLatch(Lanes.POSTS);
        CountDownLatch release = new CountDownLatch(1);
        Deliveries slow = deliveries((webhook, record, at) -> {
            if (webhook.name().equals("orders")) {
                hung.countDown();
                release.await();
            }
            return post(webhook, record, at);
        });
        List<Thread> threads = IntStream.range(0, Lanes.POSTS)
                .mapToObj(i -> Thread.ofVirtual().start(() -> {
                    try {
                        deliver(slow, announced("job-" + i));
                    } catch (InterruptedException _) {
                        Thread.currentThread().interrupt();
                    }
                }))
                .toList();
        hung.await();

        assertThat(deliver(slow, TestRecords.announced("other", "b", now))).isTrue();
        assertThat(posted).extracting(WebhookRecord::webhook).containsExactly("other");

        release.countDown();
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(posted).hasSize(Lanes.POSTS + 1);
    }

    @Test
    void a_dead_letter_has_the_place_of_its_record() throws Exception {
        results.add(new PostResult.Gone());

        deliver(announced("a"));

        ProducerRecord<byte[], byte[]> letter = dlq.history().getFirst();
        assertThat(new RecordPlace(
                        header(letter, "dlq-topic"),
                        Integer.parseInt(header(letter, "dlq-partition")),
                        Long.parseLong(header(letter, "dlq-offset"))))
                .isEqualTo(new RecordPlace("prompt-webhooks", 0, 7));
    }
}
