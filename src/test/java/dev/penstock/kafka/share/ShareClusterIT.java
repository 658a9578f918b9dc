package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.BrokerCluster;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Postgres;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.ShareLag;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.function.IntSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Three brokers with replicated topics, which restart one after the other under load. */
@Tag("alone")
class ShareClusterIT {
    private static final Duration PATIENCE = Duration.ofSeconds(Integer.getInteger("penstock.share.patience", 120));
    private static final String TOPIC = "restarts";
    private static final String GROUP = "group-" + TOPIC;
    private static final int PARTITIONS = 6;

    private static BrokerCluster brokers;

    @BeforeAll
    static void start() throws InterruptedException {
        brokers = BrokerCluster.start();
    }

    @AfterAll
    static void stop() {
        brokers.close();
    }

    /** Restarts each broker in turn. Before, without it and with it again, so many further jobs must end. */
    private static void restartEachBroker(int further, IntSupplier ended) throws InterruptedException {
        awaitFurther("jobs before the restarts", further, ended);
        for (int broker = 0; broker < BrokerCluster.SIZE; broker++) {
            brokers.shutDown(broker);
            awaitFurther("jobs without broker " + broker, further, ended);
            brokers.startAgain(broker);
            awaitFurther("jobs with broker " + broker, further, ended);
        }
    }

    private static void awaitFurther(String what, int further, IntSupplier ended) throws InterruptedException {
        int before = ended.getAsInt();
        Conditions.await(() -> ended.getAsInt() >= before + further, PATIENCE, what);
    }

    @Test
    void each_job_has_one_outcome_when_three_brokers_restart_under_load() throws Exception {
        try (Postgres postgres = Postgres.start("cluster");
                FakeUpstream node = FakeUpstream.start();
                PenstockProcess one = replica("one", postgres, node).start();
                PenstockProcess two = replica("two", postgres, node).start();
                JobSender jobs = new JobSender(brokers.bootstrap())) {
            one.awaitReady(PATIENCE);
            two.awaitReady(PATIENCE);
            // half a second to six seconds: a restart finds many of them running
            node.script(request -> Answer.tokens(5)
                    .every(Duration.ofMillis(
                            100L * (1 + Math.floorMod(request.prompt().hashCode(), 12)))));
            try (ReplyLog replies = ReplyLog.follow(brokers.bootstrap())) {
                restart(node, replies, jobs);
            }
            assertThat(one.process().isAlive() && two.process().isAlive()).isTrue();
        }
    }

    private static void restart(FakeUpstream node, ReplyLog replies, JobSender jobs) throws Exception {
        List<String> ids = Collections.synchronizedList(new ArrayList<>());
        Thread load = Thread.ofPlatform().start(() -> sendJobs(jobs, ids));
        restartEachBroker(100, () -> Math.toIntExact(node.stats().finished()));
        load.interrupt();
        load.join();
        jobs.flush();

        replies.awaitOutcomes(ids, PATIENCE);
        try (Admin admin = brokers.admin()) {
            ShareLag.awaitNone(admin, "penstock.prompt-jobs", PATIENCE);
        }
        long again = ids.stream()
                .filter(id -> replies.count(id, EventMark.Kind.STARTED) > 1)
                .count();
        System.out.printf(
                "three brokers restarted under two replicas: %d jobs, %s, %d started again%n",
                ids.size(), replies.outcomes(ids), again);
        assertThat(replies.outcomes(ids)).isEqualTo(Map.of("completed", ids.size()));
        assertThat(ids).allSatisfy(id -> {
            assertThat(replies.valid(id).stream()
                            .filter(event -> event.mark().kind().isOutcome()))
                    .hasSize(1);
            assertThat(replies.chunkText(id)).isEqualTo(replies.completedText(id));
        });
        assertReplicated(Set.of("__share_group_state", "__consumer_offsets", "prompt-jobs", "prompt-replies"));
    }

    private static PenstockProcess.Builder replica(String name, Postgres postgres, FakeUpstream node) {
        return PenstockProcess.with(brokers.bootstrap())
                .name("cluster-" + name)
                .ledger(postgres)
                .config("penstock.intake.mode", "share")
                .config("penstock.intake.share-client", "own")
                .config("penstock.intake.slots", "64")
                .node("fake", "vllm", URI.create(node.url()), 2 * 64);
    }

    /** Sends a job every 30 ms until it is interrupted. */
    private static void sendJobs(JobSender jobs, List<String> ids) {
        try {
            for (int i = 0; ; i++) {
                String id = "job-" + i;
                jobs.send(id, id);
                ids.add(id);
                Thread.sleep(30);
            }
        } catch (InterruptedException _) {
            // the test has ended
        }
    }

    private static void assertReplicated(Set<String> topics) throws Exception {
        try (Admin admin = brokers.admin()) {
            admin.describeTopics(topics)
                    .allTopicNames()
                    .get()
                    .forEach((name, topic) -> assertThat(topic.partitions())
                            .as(name)
                            .allSatisfy(partition ->
                                    assertThat(partition.replicas()).hasSize(BrokerCluster.SIZE)));
        }
    }

    @Test
    void nothing_is_lost_when_three_brokers_restart_under_load() throws Exception {
        makeTopic();
        WorkingMember.Work work = new WorkingMember.Work(20, 400);
        List<String> sent = Collections.synchronizedList(new ArrayList<>());
        try (WorkingMember one = member(work);
                WorkingMember two = member(work);
                KafkaProducer<byte[], byte[]> producer = producer()) {
            Thread load = Thread.ofPlatform().start(() -> send(producer, sent));
            restartEachBroker(100, () -> work.doneAt().size());
            load.interrupt();
            load.join();
            Conditions.await(() -> work.doneAt().size() >= sent.size(), PATIENCE, "all jobs");
            Conditions.await(() -> left() == 0, PATIENCE, "nothing is left");
            assertReplicated(Set.of("__share_group_state", TOPIC));
            long again = work.runs().values().stream().filter(runs -> runs > 1).count();
            System.out.printf(
                    "three brokers restarted: %d records, %d ran again, %d locks lost%n  %s%n  %s%n",
                    sent.size(), again, one.lost.size() + two.lost.size(), one.statistics(), two.statistics());
            Set<String> missing = new HashSet<>(sent);
            missing.removeAll(work.doneAt().keySet());
            assertThat(missing).isEmpty();
            // a broker that shuts down may lose the acknowledgements of its last seconds, and all locks
            assertThat(again).isLessThan(sent.size() / 2);
        }
    }

    private static WorkingMember member(WorkingMember.Work work) {
        return new WorkingMember(brokers.bootstrap(), Map.of(), work)
                .take(TOPIC, 32)
                .start();
    }

    private static void makeTopic() throws Exception {
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

    private static KafkaProducer<byte[], byte[]> producer() {
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

    private static long left() {
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
}
