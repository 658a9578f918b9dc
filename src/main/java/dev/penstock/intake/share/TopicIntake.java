package dev.penstock.intake.share;

import dev.penstock.dispatch.Dispatcher;
import dev.penstock.intake.record.JobRecords;
import dev.penstock.intake.record.LoopTime;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.intake.record.Source;
import dev.penstock.intake.setup.TopicSetup;
import dev.penstock.intake.watch.QueueWatch;
import dev.penstock.kafka.BoundedValues;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.record.RecordSize;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jboss.logging.Logger;

/**
 * The share consumers of one job topic. A consumer delivers nothing new before its whole batch is finished. Short jobs
 * need few consumers with large batches; long jobs that come one by one need a consumer each. So some consumers with
 * large batches exist from the start, and more with smaller batches join when those are not enough. They leave again
 * after a while without work. They join ahead of need, because a new consumer's first record takes 5 s.
 */
public final class TopicIntake implements Source {
    private static final Logger LOG = Logger.getLogger(TopicIntake.class);
    private static final Duration BETWEEN_JOINS = Duration.ofMillis(50);
    private static final Duration LEAVE_AFTER = Duration.ofMinutes(5);
    private static final Duration SHORT_FOR = Duration.ofMillis(200);
    private static final Duration CLOSE_WITHIN = Duration.ofSeconds(5);
    /**
     * The number of jobs for each slot that should be in flight while a new consumer waits for its first record, which
     * takes 5 s.
     */
    private static final int AHEAD = 2;

    /**
     * The largest number of consumers, as a multiple of the number at the start. Each additional consumer has a
     * smaller batch.
     */
    private static final int GROWS_TO = 4;

    private final TopicSetup.Found topic;
    private final Settings settings;
    private final KafkaClients kafka;
    private final JobRecords records;
    private final Dispatcher dispatcher;
    private final RecordDelivery.Writers writers;
    private final int deliveryLimit;
    private final ShareDelivery.Origins origins;
    private final QueueWatch watch;
    private final AtomicInteger nextNumber = new AtomicInteger();
    private final List<Member> members = new CopyOnWriteArrayList<>();
    private volatile boolean stopping;
    /** Guarded by this. */
    private long shortSince = System.nanoTime();

    private record Member(ShareConsumerLoop loop, SupervisedThread thread) {}

    public TopicIntake(
            TopicSetup.Found topic,
            Settings settings,
            KafkaClients kafka,
            JobRecords records,
            Dispatcher dispatcher,
            RecordDelivery.Writers writers,
            int deliveryLimit,
            ShareDelivery.Origins origins,
            QueueWatch watch) {
        this.topic = topic;
        this.settings = settings;
        this.kafka = kafka;
        this.records = records;
        this.dispatcher = dispatcher;
        this.writers = writers;
        this.deliveryLimit = deliveryLimit;
        this.origins = origins;
        this.watch = watch;
    }

    @Override
    public void start() {
        add(
                settings.intake().consumers(),
                settings.intake().batch(topic.topic(), topic.partitions()),
                Duration.ofDays(365_000));
    }

    /**
     * Adds consumers if they are needed. The consumers' threads call this method from time to time. It adds consumers
     * if too few jobs are in flight to keep the slots busy until a new consumer has its first record. One of two
     * conditions must also be true. Either most consumers are busy, because the jobs are long and come one by one. Or
     * the broker has more records of a partition than are in flight: some consumers wait for the last jobs of their
     * batches, and the others have no records.
     */
    private synchronized void grow() {
        int size = members.size();
        int consumers = settings.intake().consumers();
        long busy =
                members.stream().filter(member -> member.loop().inFlight() > 0).count();
        int room = Math.min(topic.topic().slots(), GROWS_TO * consumers) - size;
        int inFlight =
                members.stream().mapToInt(member -> member.loop().inFlight()).sum();
        boolean behind = watch.isBehind(topic.topic().name());
        int enough = topic.topic().slots() * (behind ? AHEAD : 1);
        long now = System.nanoTime();
        if (stopping
                || room <= 0
                || !records.isOpen(topic.topic().name())
                || inFlight >= enough
                || (busy * 2 < size && !behind)) {
            shortSince = now;
        } else if (now - shortSince > SHORT_FOR.toNanos()) {
            shortSince = now;
            int more = Math.min(room, consumers);
            LOG.debugf(
                    "topic=%s %d of %d consumers are busy with %d records: %d more",
                    topic.topic().name(), busy, size, inFlight, more);
            add(more, Math.max(1, settings.intake().batch(topic.topic(), topic.partitions()) / GROWS_TO), LEAVE_AFTER);
        }
    }

    private synchronized void add(int count, int batch, Duration leaveAfter) {
        for (int i = 0; i < count; i++) {
            String clientId = topic.topic().name() + "-" + nextNumber.getAndIncrement();
            Duration wait = BETWEEN_JOINS.multipliedBy(i);
            ShareConsumerLoop loop = new ShareConsumerLoop(new ShareConsumerLoop.Setup(
                    () -> consumer(clientId, batch),
                    origins,
                    deliveryLimit,
                    writers,
                    () -> records.isOpen(topic.topic().name()),
                    records::start,
                    delivery -> dispatcher.lost(delivery.origin().place(), delivery.place()),
                    this::grow,
                    leaveAfter,
                    LoopTime.SYSTEM));
            SupervisedThread thread = new SupervisedThread(
                    "penstock-intake-" + clientId,
                    () -> {
                        Thread.sleep(wait);
                        loop.run();
                    },
                    () -> members.removeIf(member -> member.loop() == loop));
            members.add(new Member(loop, thread));
            thread.start();
        }
    }

    private KafkaShareConsumer<byte[], byte[]> consumer(String clientId, int batch) {
        Map<String, Object> properties = kafka.with(Map.of(
                CommonClientConfigs.GROUP_ID_CONFIG,
                settings.group(topic.topic()),
                CommonClientConfigs.CLIENT_ID_CONFIG,
                "penstock-" + clientId,
                ConsumerConfig.SHARE_ACKNOWLEDGEMENT_MODE_CONFIG,
                "explicit",
                ConsumerConfig.SHARE_ACQUIRE_MODE_CONFIG,
                "record_limit",
                ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                batch,
                ConsumerConfig.FETCH_MAX_BYTES_CONFIG,
                settings.intake().fetchBytes()));
        // compressed records bring no more into memory than others; the poll leaves values out, and they are read
        // once there is memory
        BoundedValues values = new BoundedValues(
                RecordSize.kept(settings.maxRecord()), settings.intake().fetchBytes(), BoundedValues.Beyond.LEFT);
        KafkaShareConsumer<byte[], byte[]> consumer =
                new KafkaShareConsumer<>(properties, new ByteArrayDeserializer(), values) {
                    @Override
                    public ConsumerRecords<byte[], byte[]> poll(Duration timeout) {
                        values.begin();
                        return super.poll(timeout);
                    }
                };
        consumer.subscribe(List.of(topic.topic().name()));
        return consumer;
    }

    @Override
    public synchronized void stop() {
        stopping = true;
        members.forEach(member -> member.loop().stop());
    }

    @Override
    public void close() {
        members.forEach(member -> member.loop().close());
    }

    @Override
    public void awaitClosed() throws InterruptedException {
        for (Member member : members) {
            member.thread().join(CLOSE_WITHIN);
        }
    }
}
