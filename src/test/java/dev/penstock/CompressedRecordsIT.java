package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Records;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.ShareLag;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Compressed records that are too large, that grow, or that are damaged stop neither the intake nor the ledger. */
class CompressedRecordsIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    @Test
    void producers_compress_as_they_like() throws InterruptedException, ExecutionException {
        try (Broker broker = Broker.start();
                Admin admin = broker.admin();
                FakeUpstream fake = FakeUpstream.start()) {
            admin.createTopics(List.of(new NewTopic("prompt-replies", 12, (short) 1)
                            .configs(Map.of(TopicConfig.COMPRESSION_TYPE_CONFIG, "gzip"))))
                    .all()
                    .get();
            try (PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                            .node("fake", "vllm", URI.create(fake.url()), 4)
                            .config("penstock.replies.compression", "none")
                            .startReady();
                    ReplyLog replies = ReplyLog.follow(broker.bootstrap())) {
                penstock.process()
                        .awaitLine(
                                line -> line.contains("topic=prompt-replies its compression.type is gzip")
                                        && line.endsWith("--add-config compression.type=uncompressed"),
                                PATIENCE);
                completesJobsOfEachCompression(broker, replies);
            }
        }
    }

    private static void completesJobsOfEachCompression(Broker broker, ReplyLog replies) throws InterruptedException {
        List<String> ids = new ArrayList<>();
        for (String kind : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            try (JobSender jobs = new JobSender(
                    broker.bootstrap(), "prompt-jobs", Map.of("compression.type", kind, "linger.ms", 50))) {
                for (int i = 0; i < 40; i++) {
                    ids.add(kind + "-" + i);
                    jobs.send(kind + "-" + i, ("hello " + kind + " ").repeat(1 + i * 100));
                }
                jobs.flush();
            }
        }

        replies.awaitOutcomes(ids, PATIENCE);
        assertThat(replies.outcomes(ids)).isEqualTo(Map.of("completed", ids.size()));
    }

    /** A broker measures what is compressed. */
    @Test
    void records_above_the_limit_are_dead_lettered_however_well_they_are_compressed() throws InterruptedException {
        try (Broker broker = withJobTopicOfOthers();
                FakeUpstream fake = FakeUpstream.start();
                PenstockProcess _ = PenstockProcess.with(broker.bootstrap())
                        .node("fake", "vllm", URI.create(fake.url()), 4)
                        .config("penstock.kafka.max-record", "262144")
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap());
                JobSender jobs = new JobSender(
                        broker.bootstrap(),
                        "prompt-jobs",
                        Map.of("compression.type", "zstd", "max.request.size", 50_000_000))) {
            byte[] even = utf8(JobSender.chat("even", "x".repeat(5_000_000)));
            // a window of 64 kB, as the dead-letter topic's compression has it, does not find the repetition
            String block = HexFormat.of().formatHex(bytes(60_000));
            byte[] uneven = utf8(JobSender.chat("uneven", block.repeat(40)));
            jobs.sendRaw(0, even);
            jobs.sendRaw(0, uneven);
            jobs.send("good", "hello");
            jobs.flush();

            replies.awaitOutcomes(List.of("good"), PATIENCE);
            for (String id : List.of("even", "uneven")) {
                ReplyLog.Event rejected =
                        replies.awaitEvent(id, event -> event.mark().kind() == EventMark.Kind.REJECTED, PATIENCE);
                assertThat(rejected.json().path("error").path("code").asText()).isEqualTo("too_large");
            }
            List<ConsumerRecord<byte[], byte[]>> dead = Records.all(broker.bootstrap(), "prompt-jobs-dlq").stream()
                    .sorted(Comparator.comparing(letter -> header(letter, "dlq-offset")))
                    .toList();
            assertThat(dead)
                    .hasSize(2)
                    .allSatisfy(
                            letter -> assertThat(header(letter, "dlq-reason")).isEqualTo("too_large"));
            assertThat(dead).allSatisfy(letter -> assertThat(letter.value()).isNull());
            assertThat(header(dead.get(1), "dlq-message")).contains("it lies at prompt-jobs-0@1");

            ProducerRecord<byte[], byte[]> heavy =
                    new ProducerRecord<>("prompt-jobs", 0, null, utf8(JobSender.chat("heavy", "hello")));
            heavy.headers().add("baggage", utf8("x".repeat(100_000)));
            jobs.send(heavy);
            jobs.flush();
            ReplyLog.Event tooHeavy =
                    replies.awaitEvent("heavy", event -> event.mark().kind() == EventMark.Kind.REJECTED, PATIENCE);
            assertThat(tooHeavy.json().path("error").path("code").asText()).isEqualTo("too_large");
            try (Admin admin = broker.admin()) {
                ShareLag.awaitNone(admin, "penstock.prompt-jobs", PATIENCE);
            }
        }
    }

    /**
     * 100 MB of blanks in some kB of zstd: each reader unpacks them, and none keeps them. At most three readers unpack
     * at once.
     */
    @Test
    void a_record_that_grows_is_refused_by_the_broker_or_dead_lettered_by_its_place() throws Exception {
        try (Broker broker = withJobTopicOfOthers();
                FakeUpstream fake = FakeUpstream.start();
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .node("fake", "vllm", URI.create(fake.url()), 4)
                        .runtimeOption("-Xmx512m")
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap())) {
            Map<String, Object> packing =
                    Map.of("compression.type", "zstd", "max.request.size", 300_000_000, "buffer.memory", 300_000_000L);
            try (JobSender high = new JobSender(broker.bootstrap(), "prompt-jobs-high", packing)) {
                high.sendRaw(0, blanks("refused", 100_000_000));
                assertThatThrownBy(high::flush).hasCauseInstanceOf(RecordTooLargeException.class);
            }
            try (JobSender jobs = new JobSender(broker.bootstrap(), "prompt-jobs", packing)) {
                jobs.sendRaw(0, blanks("grows", 100_000_000));
                jobs.flush();
                jobs.sendRaw(0, utf8(JobSender.chat("behind", "hello")));
                jobs.flush();
            }

            replies.awaitOutcomes(List.of("behind"), PATIENCE);
            try (Admin admin = broker.admin()) {
                ShareLag.awaitNone(admin, "penstock.prompt-jobs", PATIENCE);
            }
            List<ConsumerRecord<byte[], byte[]>> dead = Records.all(broker.bootstrap(), "prompt-jobs-dlq");
            assertThat(dead).singleElement().satisfies(letter -> {
                assertThat(letter.value()).isNull();
                assertThat(header(letter, "dlq-reason")).isEqualTo("too_large");
                assertThat(header(letter, "dlq-message")).contains("100000000 bytes", "it lies at prompt-jobs-0@0");
            });
            assertThat(Rest.get(penstock.url(), "/v1/jobs/behind", "Prefer", "wait=30")
                            .status())
                    .isEqualTo(200);
            String ready = Rest.get(penstock.managementUrl(), "/q/health/ready").body();
            assertThat(ready)
                    .contains("warning.compression.prompt-jobs", "--add-config compression.type=uncompressed")
                    .doesNotContain("warning.compression.prompt-jobs-high");
            assertThat(Rest.get(penstock.managementUrl(), "/q/metrics").body())
                    .contains("penstock_topic_unbounded{topic=\"prompt-jobs\"} 1.0");
            assertThat(penstock.process().isAlive()).isTrue();
        }
    }

    /** Each is within the limit, and one fetch of a few kB brings all of them. */
    @Test
    void many_records_that_grow_are_never_in_memory_together() throws Exception {
        try (Broker broker = withJobTopicOfOthers();
                FakeUpstream fake = FakeUpstream.start()) {
            List<String> ids = new ArrayList<>();
            try (JobSender jobs = new JobSender(
                    broker.bootstrap(),
                    "prompt-jobs",
                    Map.of("compression.type", "zstd", "buffer.memory", 50_000_000L))) {
                for (int i = 0; i < 40; i++) {
                    ids.add("grown-" + i);
                    jobs.sendRaw(i % 2, blanks("grown-" + i, 8_388_608));
                }
                jobs.flush();
            }
            try (PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                            .node("fake", "vllm", URI.create(fake.url()), 4)
                            .runtimeOption("-Xmx256m")
                            .startReady();
                    ReplyLog replies = ReplyLog.follow(broker.bootstrap())) {
                replies.awaitOutcomes(ids, PATIENCE);

                assertThat(replies.outcomes(ids)).isEqualTo(Map.of("completed", ids.size()));
                // the ledger reads them too
                awaitCompleted(penstock, "grown-39");
                assertThat(penstock.process().isAlive()).isTrue();
            }
        }
    }

    /** The job object of the ledger; the call is repeated while the ledger is behind. */
    private static void awaitCompleted(PenstockProcess penstock, String id) throws InterruptedException {
        long until = System.nanoTime() + PATIENCE.toNanos();
        Rest.Reply last;
        do {
            assertThat(System.nanoTime()).isLessThan(until);
            last = Rest.get(penstock.url(), "/v1/jobs/" + id, "Prefer", "wait=30");
        } while (last.status() == 503);
        assertThat(last.json().path("status").asText()).as(last.body()).isEqualTo("completed");
    }

    /** A job that ends in blanks. */
    private static byte[] blanks(String id, int bytes) {
        byte[] job = utf8(JobSender.chat(id, "hello"));
        byte[] value = new byte[bytes];
        Arrays.fill(value, (byte) ' ');
        System.arraycopy(job, 0, value, 0, job.length);
        return value;
    }

    /** A reader that stops at the record must not begin in front of it again, for ever. */
    @ParameterizedTest
    @ValueSource(strings = {"share", "classic"})
    void a_batch_that_the_brokers_disk_damaged_is_passed_over(String mode) throws Exception {
        try (Broker broker = withJobTopicOfOthers();
                FakeUpstream fake = FakeUpstream.start()) {
            try (JobSender jobs = new JobSender(
                    broker.bootstrap(), "prompt-jobs", Map.of("linger.ms", 2_000, "batch.size", 100_000))) {
                jobs.sendRaw(0, utf8(JobSender.chat("before", "hello")));
                jobs.flush();
                for (int i = 0; i < 200; i++) {
                    jobs.sendRaw(0, utf8(JobSender.chat("gone-" + i, "hello")));
                }
                jobs.flush();
                jobs.sendRaw(0, utf8(JobSender.chat("after", "hello")));
                jobs.flush();
            }
            broker.damage("prompt-jobs", 0, utf8("gone-107"));
            assertThatThrownBy(() -> Records.all(broker.bootstrap(), "prompt-jobs"))
                    .hasMessageContaining("If needed, please seek");

            try (PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                            .node("fake", "vllm", URI.create(fake.url()), 4)
                            .config("penstock.intake.mode", mode)
                            .startReady();
                    ReplyLog replies = ReplyLog.follow(broker.bootstrap())) {
                replies.awaitOutcomes(List.of("before", "after"), PATIENCE);

                assertThat(replies.outcomes(List.of("before", "after"))).isEqualTo(Map.of("completed", 2));
                // the ledger is behind it too: otherwise it would not know whether there is such a job
                assertThat(Rest.get(penstock.url(), "/v1/jobs/after", "Prefer", "wait=30")
                                .status())
                        .isEqualTo(200);
                assertThat(Rest.get(penstock.url(), "/v1/jobs/none").status()).isEqualTo(404);
                // the share client rejects single records
                Map<String, String> places = Map.of(
                        "ledger",
                        "records=prompt-jobs-0@1 to 200",
                        "intake",
                        mode.equals("classic") ? "records=prompt-jobs-0@1 to 200" : "record=prompt-jobs-0@");
                for (Map.Entry<String, String> place : places.entrySet()) {
                    penstock.process()
                            .awaitLine(
                                    line -> line.contains("reader=" + place.getKey() + " could not read")
                                            && line.contains(place.getValue()),
                                    PATIENCE);
                }
                Conditions.await(
                        () -> {
                            String ready = Rest.get(penstock.managementUrl(), "/q/health/ready")
                                    .body();
                            return Stream.of("ledger", "intake")
                                    .allMatch(reader -> ready.contains("warning.records." + reader)
                                            && ready.split("200 records could not be read", -1).length == 3);
                        },
                        () -> "health shows 200 records for both readers");
            }
        }
    }

    /** A topic with a broker's defaults: its limit is that of compressed records. */
    private static Broker withJobTopicOfOthers() throws InterruptedException {
        Broker broker = Broker.start();
        try (Admin admin = broker.admin()) {
            admin.createTopics(List.of(new NewTopic("prompt-jobs", 4, (short) 1)
                            .configs(
                                    Map.of("compression.type", "producer", "message.timestamp.type", "LogAppendTime"))))
                    .all()
                    .get();
        } catch (ExecutionException e) {
            broker.close();
            throw new IllegalStateException(e);
        }
        return broker;
    }

    private static byte[] bytes(int count) {
        byte[] bytes = new byte[count];
        new Random(7).nextBytes(bytes);
        return bytes;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
    }
}
