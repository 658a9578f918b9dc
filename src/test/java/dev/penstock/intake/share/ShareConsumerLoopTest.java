package dev.penstock.intake.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.intake.record.LoopTime;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.intake.setup.ModeChoice;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.RecordGuard;
import dev.penstock.settings.read.TestSettings;
import dev.penstock.testkit.Conditions;
import dev.penstock.wire.record.IntakeMode;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.AcknowledgementCommitCallback;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.MockShareConsumer;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.CorruptRecordException;
import org.junit.jupiter.api.Test;

/** What becomes of a run's lock commands when its consumer's loop ends. */
class ShareConsumerLoopTest {
    private static final Duration SOON = Duration.ofSeconds(20);

    private final BlockingQueue<RecordDelivery> taken = new LinkedBlockingQueue<>();
    private final BlockingQueue<RecordDelivery> lost = new LinkedBlockingQueue<>();
    private volatile boolean broken;
    /** The number of failed starts of a record. */
    private final AtomicInteger failures = new AtomicInteger();

    private final List<AcknowledgeType> acknowledged = new CopyOnWriteArrayList<>();
    private final AtomicInteger consumers = new AtomicInteger();

    /** One record, and an error if the consumer is broken. */
    private final class OneRecord extends MockShareConsumer<byte[], byte[]> {
        OneRecord() {
            subscribe(List.of("prompt-jobs"));
            addRecord(new ConsumerRecord<>("prompt-jobs", 0, 7, new byte[0], new byte[0]));
        }

        @Override
        public Optional<Integer> acquisitionLockTimeoutMs() {
            return Optional.of(600_000);
        }

        @Override
        public synchronized void acknowledge(ConsumerRecord<byte[], byte[]> record, AcknowledgeType type) {
            if (broken) {
                throw new StackOverflowError("an unexpected error");
            }
            acknowledged.add(type);
            super.acknowledge(record, type);
        }
    }

    private ShareConsumerLoop loop() {
        return loop(OneRecord::new);
    }

    @SuppressWarnings("NullAway") // nothing is deferred or dead-lettered here
    private ShareConsumerLoop loop(Supplier<MockShareConsumer<byte[], byte[]>> made) {
        KafkaClients kafka = new KafkaClients(Map.of(), TestSettings.defaults().maxRecord());
        return new ShareConsumerLoop(new ShareConsumerLoop.Setup(
                () -> {
                    consumers.incrementAndGet();
                    return made.get();
                },
                new ShareDelivery.Origins(
                        new ModeChoice.Chosen(IntakeMode.SHARE, Map.of(), Map.of()),
                        new LeaderEpochs(kafka, List.of())),
                10,
                null,
                () -> true,
                delivery -> {
                    if (failures.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
                        throw new IllegalStateException("of the test");
                    }
                    taken.add(delivery);
                },
                lost::add,
                LoopTime.SYSTEM));
    }

    private RecordDelivery take() throws InterruptedException {
        RecordDelivery delivery = taken.poll(SOON.toSeconds(), TimeUnit.SECONDS);
        assertThat(delivery).isNotNull();
        return delivery;
    }

    @Test
    void a_wish_to_renew_that_comes_with_the_end_is_answered() throws Exception {
        ShareConsumerLoop loop = loop();
        Thread thread = Thread.ofPlatform().daemon().start(loop);
        ShareDelivery delivery = (ShareDelivery) take();
        // the last round of the loop, or the one after its end, takes it up
        CompletableFuture<Boolean> renewed = new CompletableFuture<>();
        loop.close();
        loop.command(new ShareDelivery.LockCommand.Renew(delivery, renewed));

        assertThat(renewed.get(SOON.toSeconds(), TimeUnit.SECONDS)).isFalse();
        assertThat(thread.join(SOON)).isTrue();
        assertThat(lost).contains(delivery);
    }

    /** The consumer was made anew each time, and got the same record again. */
    @Test
    void a_record_that_cannot_be_started_is_refused_and_the_loop_goes_on() throws Exception {
        failures.set(1);
        ShareConsumerLoop loop = loop();
        Thread thread = Thread.ofPlatform().daemon().start(loop);

        RecordDelivery delivery = take();

        assertThat(delivery.isUnread()).isTrue();
        assertThat(consumers).hasValue(1);
        assertThat(RecordGuard.warnings().get("intake")).contains("prompt-jobs-0@7");
        loop.close();
        assertThat(thread.join(SOON)).isTrue();
    }

    @Test
    void a_record_that_cannot_even_be_refused_is_given_back() throws Exception {
        failures.set(2);
        ShareConsumerLoop loop = loop();
        Thread thread = Thread.ofPlatform().daemon().start(loop);

        Conditions.await(() -> !acknowledged.isEmpty());
        assertThat(acknowledged).containsExactly(AcknowledgeType.RELEASE);
        assertThat(consumers).hasValue(1);
        loop.close();
        assertThat(thread.join(SOON)).isTrue();
    }

    /** Imitates a client (4.3.1): it rejects the batch, and throws once. */
    private final class DamagedBatch extends MockShareConsumer<byte[], byte[]> {
        private final OneRecord behind = new OneRecord();
        private AcknowledgementCommitCallback callback = (_, _) -> {};
        private int polls;

        @Override
        public void setAcknowledgementCommitCallback(AcknowledgementCommitCallback told) {
            callback = told;
        }

        @Override
        public synchronized ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
            return switch (polls++) {
                case 0 -> throw new CorruptRecordException("Record is corrupt (stored crc = 1, computed crc = 2)");
                case 1 -> {
                    callback.onComplete(
                            Map.of(new TopicIdPartition(Uuid.ONE_UUID, 2, "prompt-jobs"), Set.of(5L, 3L, 4L)), null);
                    yield ConsumerRecords.empty();
                }
                default -> behind.poll(timeout);
            };
        }
    }

    /** The consumer was made anew, and all its deliveries were lost. */
    @Test
    void a_batch_that_the_brokers_disk_damaged_is_told_with_its_place_and_the_loop_goes_on() throws Exception {
        ShareConsumerLoop loop = loop(DamagedBatch::new);
        Thread thread = Thread.ofPlatform().daemon().start(loop);

        take();

        assertThat(consumers).hasValue(1);
        assertThat(RecordGuard.warnings().get("intake"))
                .contains("records=prompt-jobs-2@3 to 5: CorruptRecordException");
        loop.close();
        assertThat(thread.join(SOON)).isTrue();
    }

    @Test
    void an_unexpected_error_loses_what_is_in_hand_and_answers_the_runs() throws Exception {
        ShareConsumerLoop loop = loop();
        Thread thread = Thread.ofPlatform()
                .daemon()
                .uncaughtExceptionHandler((_, _) -> {})
                .start(loop);
        ShareDelivery delivery = (ShareDelivery) take();
        broken = true;
        CompletableFuture<Boolean> renewed = new CompletableFuture<>();
        loop.command(new ShareDelivery.LockCommand.Renew(delivery, renewed));

        assertThat(renewed.get(SOON.toSeconds(), TimeUnit.SECONDS)).isFalse();
        assertThat(thread.join(SOON)).isTrue();
        assertThat(lost).containsExactly(delivery);
    }
}
