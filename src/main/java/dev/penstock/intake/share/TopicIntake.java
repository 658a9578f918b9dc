package dev.penstock.intake.share;

import dev.penstock.dispatch.Dispatcher;
import dev.penstock.intake.record.JobRecords;
import dev.penstock.intake.record.LoopTime;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.intake.record.Source;
import dev.penstock.kafka.BoundedValues;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.record.RecordSize;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * The share consumers of one job topic, with Kafka's library: a fixed number of consumers, each with a batch of a fixed
 * size. A consumer delivers nothing new before its whole batch is finished.
 */
public final class TopicIntake implements Source {
    /** The pause between the joins of two consumers. */
    private static final Duration BETWEEN_JOINS = Duration.ofMillis(50);

    private static final Duration CLOSE_WITHIN = Duration.ofSeconds(5);

    private final Settings.JobTopic topic;
    private final Settings settings;
    private final KafkaClients kafka;
    private final List<Member> members;

    private record Member(ShareConsumerLoop loop, SupervisedThread thread) {}

    /** @param deliveryLimit the number of deliveries after which the broker drops a record */
    public TopicIntake(
            Settings.JobTopic topic,
            Settings settings,
            KafkaClients kafka,
            JobRecords records,
            Dispatcher dispatcher,
            RecordDelivery.Writers writers,
            int deliveryLimit,
            ShareDelivery.Origins origins) {
        this.topic = topic;
        this.settings = settings;
        this.kafka = kafka;
        members = IntStream.range(0, settings.intake().consumers())
                .mapToObj(number -> {
                    String clientId = topic.name() + "-" + number;
                    return member(
                            clientId,
                            BETWEEN_JOINS.multipliedBy(number),
                            new ShareConsumerLoop.Setup(
                                    () -> consumer(clientId),
                                    origins,
                                    deliveryLimit,
                                    writers,
                                    () -> records.isOpen(topic.name()),
                                    records::start,
                                    lost -> dispatcher.lost(lost.origin().place(), lost.place()),
                                    LoopTime.SYSTEM));
                })
                .toList();
    }

    private static Member member(String clientId, Duration wait, ShareConsumerLoop.Setup setup) {
        ShareConsumerLoop loop = new ShareConsumerLoop(setup);
        SupervisedThread.Body body = () -> {
            Thread.sleep(wait);
            loop.run();
        };
        return new Member(loop, new SupervisedThread("penstock-intake-" + clientId, body, () -> {}));
    }

    @Override
    public void start() {
        members.forEach(member -> member.thread().start());
    }

    private KafkaShareConsumer<byte[], byte[]> consumer(String clientId) {
        Map<String, Object> properties = kafka.with(Map.of(
                CommonClientConfigs.GROUP_ID_CONFIG,
                settings.group(topic),
                CommonClientConfigs.CLIENT_ID_CONFIG,
                "penstock-" + clientId,
                ConsumerConfig.SHARE_ACKNOWLEDGEMENT_MODE_CONFIG,
                "explicit",
                ConsumerConfig.SHARE_ACQUIRE_MODE_CONFIG,
                "record_limit",
                ConsumerConfig.MAX_POLL_RECORDS_CONFIG,
                settings.intake().batch(),
                ConsumerConfig.FETCH_MAX_BYTES_CONFIG,
                settings.intake().fetchBytes()));
        // compressed records must not need more memory than others: the poll leaves out the values that are too much,
        // and they are read when there is memory
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
        consumer.subscribe(List.of(topic.name()));
        return consumer;
    }

    @Override
    public void stop() {
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
