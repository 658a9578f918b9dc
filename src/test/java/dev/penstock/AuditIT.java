package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.Metrics;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Records;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Records that the broker dropped end as {@code lost}, and no others do. */
@Tag("long")
final class AuditIT {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final Duration TOLD_WITHIN = Duration.ofSeconds(90);
    private static final String GROUP = "penstock.prompt-jobs";

    private static PenstockProcess projecting(Broker broker, String name) throws InterruptedException {
        return PenstockProcess.with(broker.bootstrap())
                .name(name)
                .config("penstock.intake.enabled", "false")
                .startReady();
    }

    @Test
    void what_the_broker_dropped_is_told_and_dead_lettered() throws Exception {
        try (Broker broker = Broker.start();
                PenstockProcess penstock = projecting(broker, "audit");
                ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                JobSender jobs = new JobSender(broker.bootstrap());
                Admin admin = broker.admin()) {
            configure(admin, "share.auto.offset.reset", "earliest");
            configure(admin, "share.delivery.count.limit", "2");
            List<String> lost = List.of("acknowledged", "archived", "aged-out", "sent-twice");
            List<String> fine = List.of("refused", "set-aside", "waiting");
            // each has a partition of its own, where that matters
            send(jobs, 0, "acknowledged");
            send(jobs, 1, "archived");
            send(jobs, 2, "aged-out");
            send(jobs, 0, "refused");
            send(jobs, 1, "set-aside");
            send(jobs, 0, "sent-twice");
            jobs.flush();
            long sent = System.currentTimeMillis();

            tellRefused(broker, "refused", 0, 1);
            copyToDeferred(jobs, "set-aside", 1, 1);
            consume(broker, Set.of("acknowledged", "refused", "set-aside", "sent-twice"), Set.of("archived"));
            admin.deleteRecords(Map.of(new TopicPartition("prompt-jobs", 2), RecordsToDelete.beforeOffset(1)))
                    .all()
                    .get();
            send(jobs, 3, "waiting");
            // a duplicate would wait for the first record for ever
            send(jobs, 3, "sent-twice");
            jobs.flush();

            for (String id : lost) {
                replies.awaitOutcomes(List.of(id), TOLD_WITHIN.plusSeconds(30));
                ReplyLog.Event told = replies.outcome(id);
                System.out.printf("%s: told lost %.1f s after it was sent%n", id, (told.timestamp() - sent) / 1000.0);
                assertThat(told.mark().kind()).isEqualTo(EventMark.Kind.FAILED);
                assertThat(told.json().path("error").path("code").asText()).isEqualTo("lost");
                assertThat(Duration.ofMillis(told.timestamp() - sent)).isLessThan(TOLD_WITHIN);
                assertThat(Records.all(broker.bootstrap(), "prompt-jobs-dlq"))
                        .as("dead letter of %s", id)
                        .anyMatch(record -> new String(record.value(), StandardCharsets.UTF_8).contains(id));
                assertThat(Rest.get(penstock.url(), "/v1/jobs/" + id, "Prefer", "wait=30")
                                .json()
                                .path("status")
                                .asText())
                        .isEqualTo("failed");
            }
            Metrics.await(penstock, "penstock_lost_total", lost.size(), PATIENCE);
            // one more round; a wrong report would come in it at the latest
            awaitAnotherAudit(jobs, replies, broker);
            for (String id : fine) {
                assertThat(replies.reading(id).isClosed()).as(id).isFalse();
            }
        }
    }

    /** A record that is dropped now and reported later: any wrong report comes before that one. */
    private static void awaitAnotherAudit(JobSender jobs, ReplyLog replies, Broker broker) throws Exception {
        send(jobs, 0, "marker");
        jobs.flush();
        consume(broker, Set.of("marker"), Set.of());
        replies.awaitOutcomes(List.of("marker"), TOLD_WITHIN.plusSeconds(30));
    }

    @Test
    void a_ledger_that_was_away_for_longer_than_the_replies_are_kept_tells_nothing() throws Exception {
        try (Broker broker = Broker.start();
                JobSender jobs = new JobSender(broker.bootstrap());
                JobSender answers = new JobSender(broker.bootstrap(), "prompt-replies", Map.of());
                Admin admin = broker.admin()) {
            try (PenstockProcess before = projecting(broker, "away")) {
                configure(admin, "share.auto.offset.reset", "earliest");
                send(jobs, 0, "answered");
                jobs.flush();
                assertThat(Rest.get(before.url(), "/v1/jobs/answered")
                                .json()
                                .path("status")
                                .asText())
                        .isEqualTo("queued");
            }
            long sent = System.currentTimeMillis();
            answers.send(cancelled("answered", sent));
            RecordMetadata answer = answers.flush().getLast();
            consume(broker, Set.of("answered"), Set.of());
            admin.deleteRecords(Map.of(
                            new TopicPartition(answer.topic(), answer.partition()),
                            RecordsToDelete.beforeOffset(answer.offset() + 1)))
                    .all()
                    .get();

            try (PenstockProcess after = projecting(broker, "away");
                    ReplyLog replies = ReplyLog.follow(broker.bootstrap())) {
                awaitAnotherAudit(jobs, replies, broker);
                assertThat(Metrics.value(after, "penstock_lost_total").orElse(0))
                        .isEqualTo(1);
                assertThat(replies.all("answered")).isEmpty();
            }
        }
    }

    @Test
    void a_ledger_that_is_built_again_tells_nothing_of_six_days_of_old_jobs() throws Exception {
        try (Broker broker = Broker.start();
                FakeUpstream fake = FakeUpstream.start()) {
            Instant now = Instant.now();
            int old = sixDaysOfJobs(broker, now);
            fake.script(_ -> Answer.of("ok"));
            try (PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                            .name("rebuilt")
                            .node("fake", "vllm", URI.create(fake.url()), 4)
                            .startReady();
                    ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                    JobSender jobs = new JobSender(broker.bootstrap())) {
                send(jobs, 0, "today");
                jobs.flush();
                replies.awaitOutcomes(List.of("today"), PATIENCE);
                long before = fake.stats().requests();
                jobs.send(new ProducerRecord<>(
                        "prompt-jobs",
                        0,
                        now.minusSeconds(120).toEpochMilli(),
                        null,
                        JobSender.chat("marker", "hi").getBytes(StandardCharsets.UTF_8)));
                jobs.flush();
                replies.awaitOutcomes(List.of("marker"), PATIENCE);
                assertThat(fake.stats().requests()).isEqualTo(before + 1);
                // three audits: each reads the group's state, which the broker's log of requests would show
                assertThat(Metrics.value(penstock, "penstock_lost_total").orElse(0))
                        .isZero();
                awaitAudits(penstock, 3);
                assertThat(Metrics.value(penstock, "penstock_lost_total").orElse(0))
                        .isZero();
                long lost = replies.ids().stream()
                        .filter(id -> id.startsWith("old-"))
                        .filter(id -> replies.all(id).stream()
                                .anyMatch(event -> event.value().contains("\"lost\"")))
                        .count();
                System.out.printf("%,d jobs of six days, replies of one: %d told lost%n", old, lost);
                assertThat(lost).isZero();
            }
        }
    }

    private static void awaitAudits(PenstockProcess penstock, int count) throws InterruptedException {
        String rounds = "penstock_audit_rounds_total";
        double from = Metrics.value(penstock, rounds).orElse(0);
        var _ = Metrics.await(
                penstock, rounds, "is %d more".formatted(count), now -> now >= from + count, PATIENCE.multipliedBy(2));
    }

    /** Jobs that ended on their days; the broker has kept the replies of the last day. */
    private static int sixDaysOfJobs(Broker broker, Instant now) throws Exception {
        int jobsADay = 200;
        try (Admin admin = broker.admin();
                JobSender jobs = new JobSender(broker.bootstrap());
                JobSender replies = new JobSender(broker.bootstrap(), "prompt-replies", Map.of())) {
            Map<String, String> ownTime = Map.of("message.timestamp.type", "CreateTime", "retention.ms", "-1");
            admin.createTopics(List.of(
                            new NewTopic("prompt-jobs", 4, (short) 1).configs(ownTime),
                            new NewTopic("prompt-replies", 12, (short) 1).configs(ownTime)))
                    .all()
                    .get();
            // each partition's leader is there; otherwise the first records of a producer may be refused for ever
            Map<TopicPartition, OffsetSpec> everywhere = new HashMap<>();
            for (int partition = 0; partition < 12; partition++) {
                everywhere.put(new TopicPartition("prompt-replies", partition), OffsetSpec.latest());
                everywhere.put(new TopicPartition("prompt-jobs", partition % 4), OffsetSpec.latest());
            }
            admin.listOffsets(everywhere).all().get();
            Map<TopicPartition, Long> lastDay = new HashMap<>();
            Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
            for (int day = 6; day >= 0; day--) {
                for (int i = 0; i < jobsADay; i++) {
                    String id = "old-" + day + "-" + i;
                    long at = now.minus(Duration.ofDays(day))
                            .minus(Duration.ofMinutes(10 + i))
                            .toEpochMilli();
                    jobs.send(new ProducerRecord<>(
                            "prompt-jobs",
                            i % 4,
                            at,
                            id.getBytes(StandardCharsets.UTF_8),
                            JobSender.chat(id, "hi").getBytes(StandardCharsets.UTF_8)));
                    replies.send(cancelled(id, at + 1_000));
                }
                for (RecordMetadata record : jobs.flush()) {
                    done.put(
                            new TopicPartition(record.topic(), record.partition()),
                            new OffsetAndMetadata(record.offset() + 1));
                }
                for (RecordMetadata record : replies.flush()) {
                    if (day > 0) {
                        lastDay.put(new TopicPartition(record.topic(), record.partition()), record.offset() + 1);
                    }
                }
            }
            Map<TopicPartition, RecordsToDelete> forgotten = new HashMap<>();
            lastDay.forEach((partition, offset) -> forgotten.put(partition, RecordsToDelete.beforeOffset(offset)));
            admin.deleteRecords(forgotten).all().get();
            configure(admin, "share.auto.offset.reset", "earliest");
            // the group has finished them all, as if it had run them
            Map<TopicPartition, Long> starts = new HashMap<>();
            done.forEach((partition, offset) -> starts.put(partition, offset.offset()));
            admin.alterShareGroupOffsets(GROUP, starts).all().get();
            return 7 * jobsADay;
        }
    }

    private static ProducerRecord<byte[], byte[]> cancelled(String id, long at) {
        byte[] key = id.getBytes(StandardCharsets.UTF_8);
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                "prompt-replies",
                null,
                at,
                key,
                "{\"job\":{\"id\":\"%s\",\"event\":\"cancelled\",\"seq\":0,\"attempt\":0,\"run\":\"old\"}}"
                        .formatted(id)
                        .getBytes(StandardCharsets.UTF_8));
        BiConsumer<String, String> header =
                (name, value) -> record.headers().add(name, value.getBytes(StandardCharsets.UTF_8));
        header.accept("job-id", id);
        header.accept("event", "cancelled");
        header.accept("seq", "0");
        header.accept("attempt", "0");
        header.accept("run", "old");
        return record;
    }

    private static void send(JobSender jobs, int partition, String id) {
        jobs.send(new ProducerRecord<>(
                "prompt-jobs",
                partition,
                id.getBytes(StandardCharsets.UTF_8),
                JobSender.chat(id, "hi").getBytes(StandardCharsets.UTF_8)));
    }

    /** The intake does the same before it acknowledges. */
    private static void tellRefused(Broker broker, String id, int partition, long offset) throws InterruptedException {
        byte[] key = id.getBytes(StandardCharsets.UTF_8);
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                "prompt-replies",
                key,
                "{\"job\":{\"id\":\"%s\",\"event\":\"rejected\",\"seq\":0,\"attempt\":0,\"run\":\"intake\",\"record\":{\"topic\":\"prompt-jobs\",\"partition\":%d,\"offset\":%d}},\"error\":{\"code\":\"id_conflict\"}}"
                        .formatted(id, partition, offset)
                        .getBytes(StandardCharsets.UTF_8));
        for (String[] header :
                new String[][] {{"job-id", id}, {"event", "rejected"}, {"seq", "0"}, {"attempt", "0"}, {"run", "intake"}
                }) {
            record.headers().add(header[0], header[1].getBytes(StandardCharsets.UTF_8));
        }
        try (JobSender replies = new JobSender(broker.bootstrap(), "prompt-replies", Map.of())) {
            replies.send(record);
            replies.flush();
        }
    }

    private static void copyToDeferred(JobSender jobs, String id, int partition, long offset)
            throws InterruptedException {
        byte[] key = id.getBytes(StandardCharsets.UTF_8);
        ProducerRecord<byte[], byte[]> copy = new ProducerRecord<>(
                "prompt-jobs-deferred", 1, key, JobSender.chat(id, "hi").getBytes(StandardCharsets.UTF_8));
        copy.headers().add("job-id", key);
        copy.headers()
                .add(
                        "penstock-origin",
                        "prompt-jobs/%d/%d".formatted(partition, offset).getBytes(StandardCharsets.UTF_8));
        jobs.send(copy);
        jobs.flush();
    }

    /**
     * Takes records of the workers' group. Records without an acknowledgement are given back until the broker drops
     * them.
     */
    private static void consume(Broker broker, Set<String> acknowledged, Set<String> givenBack) {
        Map<String, Object> properties = Map.of(
                "bootstrap.servers", broker.bootstrap(), "group.id", GROUP, "share.acknowledgement.mode", "explicit");
        List<String> left = new ArrayList<>(acknowledged);
        Map<String, Integer> releases = new HashMap<>();
        givenBack.forEach(id -> releases.put(id, 0));
        try (KafkaShareConsumer<byte[], byte[]> consumer =
                new KafkaShareConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of("prompt-jobs"));
            long until = System.nanoTime() + PATIENCE.toNanos();
            while (!left.isEmpty() || releases.values().stream().anyMatch(count -> count < 2)) {
                assertThat(System.nanoTime())
                        .as("still to take: %s %s", left, releases)
                        .isLessThan(until);
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    String id = new String(record.key(), StandardCharsets.UTF_8);
                    left.remove(id);
                    releases.computeIfPresent(id, (_, count) -> count + 1);
                    consumer.acknowledge(
                            record, givenBack.contains(id) ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT);
                }
                consumer.commitSync();
            }
        }
    }

    private static void configure(Admin admin, String key, String value) throws Exception {
        admin.incrementalAlterConfigs(Map.of(
                        new ConfigResource(ConfigResource.Type.GROUP, GROUP),
                        List.of(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET))))
                .all()
                .get();
    }
}
