package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.BrokerCluster;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The share client against three brokers, which restart one after the other. */
@Tag("alone")
class ShareClusterIT {
    private static final Duration PATIENCE = Duration.ofSeconds(Integer.getInteger("penstock.share.patience", 120));
    private static final String TOPIC = "restarts";
    private static final String GROUP = "group-" + TOPIC;
    private static final int PARTITIONS = 6;

    @Test
    void nothing_is_lost_when_three_brokers_restart_under_load() throws Exception {
        try (BrokerCluster brokers = BrokerCluster.start()) {
            makeTopic(brokers);
            WorkingMember.Work work = new WorkingMember.Work(20, 400);
            List<String> sent = Collections.synchronizedList(new ArrayList<>());
            try (WorkingMember one = member(brokers, work);
                    WorkingMember two = member(brokers, work);
                    KafkaProducer<byte[], byte[]> producer = producer(brokers)) {
                Thread load = Thread.ofPlatform().start(() -> send(producer, sent));
                await("the first jobs", () -> work.doneAt().size() > 100);
                for (int broker = 0; broker < BrokerCluster.SIZE; broker++) {
                    brokers.shutDown(broker);
                    int before = work.doneAt().size();
                    await("jobs without broker " + broker, () -> work.doneAt().size() > before + 100);
                    brokers.startAgain(broker);
                    int then = work.doneAt().size();
                    await("jobs with broker " + broker, () -> work.doneAt().size() > then + 100);
                }
                load.interrupt();
                load.join();
                await("all jobs", () -> work.doneAt().size() >= sent.size());
                await("nothing is left", () -> left(brokers) == 0);
                long again =
                        work.runs().values().stream().filter(runs -> runs > 1).count();
                System.out.printf(
                        "three brokers restarted: %d records, %d ran again, %d locks lost%n  %s%n  %s%n",
                        sent.size(), again, one.lost.size() + two.lost.size(), one.statistics(), two.statistics());
                Set<String> missing = new HashSet<>(sent);
                missing.removeAll(work.doneAt().keySet());
                assertThat(missing).isEmpty();
                // a restart may cost the locks of one broker's partitions, and no more
                assertThat(again).isLessThan(3L * 64);
            }
        }
    }

    private static WorkingMember member(BrokerCluster brokers, WorkingMember.Work work) {
        return new WorkingMember(brokers.bootstrap(), Map.of(), work)
                .take(TOPIC, 32)
                .start();
    }

    private static void makeTopic(BrokerCluster brokers) throws Exception {
        try (Admin admin = brokers.admin()) {
            admin.createTopics(List.of(new NewTopic(TOPIC, PARTITIONS, (short) BrokerCluster.SIZE)
                            .configs(Map.of("min.insync.replicas", "2"))))
                    .all()
                    .get();
        }
        brokers.setGroup(GROUP, "share.auto.offset.reset", "earliest");
        brokers.setGroup(GROUP, "share.record.lock.duration.ms", "3000");
        brokers.setGroup(GROUP, "share.delivery.count.limit", "10");
    }

    private static KafkaProducer<byte[], byte[]> producer(BrokerCluster brokers) {
        return new KafkaProducer<>(
                Map.of("bootstrap.servers", brokers.bootstrap(), "acks", "all"),
                new ByteArraySerializer(),
                new ByteArraySerializer());
    }

    /** Sends a record every 15 ms until it is interrupted. */
    private static void send(KafkaProducer<byte[], byte[]> producer, List<String> sent) {
        try {
            for (int i = 0; ; i++) {
                String value = "record-" + i;
                var _ = producer.send(
                        new ProducerRecord<>(TOPIC, i % PARTITIONS, null, value.getBytes(StandardCharsets.UTF_8)),
                        (_, failure) -> {
                            if (failure == null) {
                                sent.add(value);
                            }
                        });
                Thread.sleep(15);
            }
        } catch (InterruptedException _) {
            // flush would end at once
        }
        Thread.interrupted();
        producer.flush();
    }

    private static long left(BrokerCluster brokers) {
        try (Admin admin = brokers.admin()) {
            return admin
                    .listShareGroupOffsets(Map.of(GROUP, new ListShareGroupOffsetsSpec()))
                    .partitionsToOffsetInfo(GROUP)
                    .get()
                    .values()
                    .stream()
                    .mapToLong(info -> info == null ? 1 : info.lag().orElse(1L))
                    .sum();
        } catch (ExecutionException _) {
            return 1;
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void await(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as(what).isLessThan(end);
            Thread.sleep(100);
        }
    }
}
