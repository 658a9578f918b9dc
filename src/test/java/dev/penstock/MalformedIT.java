package dev.penstock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.EventMark;
import dev.penstock.testkit.Broker;
import dev.penstock.testkit.JobSender;
import dev.penstock.testkit.PenstockProcess;
import dev.penstock.testkit.Records;
import dev.penstock.testkit.ReplyLog;
import dev.penstock.testkit.ShareLag;
import dev.penstock.testkit.upstream.FakeUpstream;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.IntFunction;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Nothing that a producer writes can stop the intake, or end another job. */
class MalformedIT {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final int MALFORMED = 10_000;
    private static final int LARGE = 50;
    private static final int GOOD = 100;

    /** Kinds of record that are no jobs; the number makes each one different. */
    private static final List<IntFunction<byte @Nullable []>> KINDS = List.of(
            n -> utf8("{\"messages\":[{\"role\":\"user\",\"content\":\"cut " + n),
            n -> utf8("{\"messages\":\"wrong type " + n + "\"}"),
            n -> utf8("{\"n\":" + n + ",\"x\":" + "[".repeat(3000) + "]".repeat(3000) + "}"),
            n -> with(utf8("{\"prompt\":\"invalid utf-8 " + n + " \"}"), 11, 0xC3),
            n -> null,
            n -> utf8("null"),
            n -> utf8("{\"prompt\":null,\"n\":" + n + "}"),
            n -> utf8("{\"prompt\":\"a\",\"prompt\":\"twice " + n + "\"}"),
            n -> utf8("[" + n + "]"),
            n -> utf8("" + n),
            n -> utf8("\"text " + n + "\""),
            n -> utf8(""),
            n -> utf8("   " + " ".repeat(n % 50)),
            n -> utf8("{\"prompt\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"both " + n + "\"}]}"),
            n -> utf8("{\"n\":" + n + "}"),
            n -> utf8("{\"prompt\":\"a\",\"job\":{\"id\":\"not an id " + n + "\"}}"),
            n -> utf8("{\"prompt\":\"a\",\"job\":{\"timout\":\"PT5M\",\"retry_of\":\"" + n + "\"}}"),
            n -> utf8("{\"prompt\":\"a\",\"job\":{\"deadline\":\"tomorrow " + n + "\"}}"),
            n -> utf8("{\"prompt\":\"a\",\"job\":{\"deadline\":\"P1000000000%03dD\"}}".formatted(n % 1000)),
            n -> utf8("{\"prompt\":\"a\",\"job\":{\"deadline\":\"+99999%04d-01-01T00:00:00Z\"}}".formatted(n)),
            n -> utf8("{\"prompt\":\"a\",\"model\":\"" + ("m" + n).repeat(3_000) + "\"}"),
            n -> utf8("{\"prompt\":\"a\"} trailing " + n),
            n -> utf8("{\"prompt\":\"a\",\"z\":1e99999999999999999999,\"n\":" + n + "}"),
            n -> utf8("{\"prompt\":\"a\",\"z\":1e-2147483648,\"n\":" + n + "}"),
            n -> utf8("{\"prompt\":\"a\",\"z\":" + "9".repeat(2_000) + ",\"n\":" + n + "}"),
            n -> random(n));

    @Test
    void malformed_records_are_dead_lettered_unchanged_and_good_jobs_go_on() throws InterruptedException {
        try (Broker broker = Broker.start();
                FakeUpstream fake = FakeUpstream.start();
                PenstockProcess penstock = PenstockProcess.with(broker.bootstrap())
                        .node("fake", "vllm", URI.create(fake.url()), 64)
                        .startReady();
                ReplyLog replies = ReplyLog.follow(broker.bootstrap())) {
            List<String> good = new ArrayList<>();
            Map<String, byte @Nullable []> sent = send(broker, good);

            replies.awaitOutcomes(good, PATIENCE);
            try (Admin admin = broker.admin()) {
                ShareLag.awaitNone(admin, "penstock.prompt-jobs", PATIENCE);
            }

            assertThat(replies.outcomes(good)).isEqualTo(Map.of("completed", GOOD));
            List<ConsumerRecord<byte[], byte[]>> dead = Records.all(broker.bootstrap(), "prompt-jobs-dlq");
            System.out.printf(
                    "%d malformed records of %d kinds: %d dead letters%n", sent.size(), KINDS.size(), dead.size());
            assertThat(dead.size()).isEqualTo(sent.size());
            Set<String> places = new HashSet<>();
            for (ConsumerRecord<byte[], byte[]> letter : dead) {
                String place = header(letter, "dlq-partition") + "@" + header(letter, "dlq-offset");
                places.add(place);
                assertThat(letter.value()).as(place).isEqualTo(sent.get(place));
                assertThat(header(letter, "dlq-reason")).isEqualTo("invalid_request");
                assertThat(header(letter, "dlq-message")).isNotBlank();
                assertThat(header(letter, "dlq-topic")).isEqualTo("prompt-jobs");
            }
            assertThat(places).isEqualTo(sent.keySet());
            assertOnlyRejected(replies, good);
            assertThat(penstock.process().isAlive()).isTrue();
        }
    }

    private static void assertOnlyRejected(ReplyLog replies, List<String> good) {
        Set<String> known = new HashSet<>(good);
        long rejected = 0;
        for (String id : replies.ids()) {
            for (ReplyLog.Event event : replies.all(id)) {
                if (event.mark().kind() == EventMark.Kind.REJECTED) {
                    rejected++;
                    assertThat(event.json()
                                    .path("job")
                                    .path("record")
                                    .path("topic")
                                    .asText())
                            .isEqualTo("prompt-jobs");
                    assertThat(event.json().path("error").path("message").asText())
                            .isNotBlank();
                } else {
                    assertThat(known)
                            .as("an event of a job that is none: %s", event)
                            .contains(id);
                }
            }
        }
        assertThat(rejected).isEqualTo(MALFORMED);
    }

    /** @return what was sent, by where it lies */
    private static Map<String, byte @Nullable []> send(Broker broker, List<String> good) throws InterruptedException {
        List<byte @Nullable []> values = new ArrayList<>();
        Map<String, byte @Nullable []> places = new HashMap<>();
        try (JobSender jobs = new JobSender(broker.bootstrap())) {
            for (int n = 0; n < MALFORMED; n++) {
                byte[] value = n % (MALFORMED / LARGE) == 7
                        ? large(n)
                        : KINDS.get(n % KINDS.size()).apply(n);
                values.add(value);
                jobs.sendRaw(n % 4, value);
                if (n % (MALFORMED / GOOD) == 0) {
                    String id = "good-" + n;
                    good.add(id);
                    values.add(null);
                    jobs.sendRaw(n % 4, utf8(JobSender.chat(id, "hello")));
                }
            }
            List<RecordMetadata> written = jobs.flush();
            Set<Integer> goodPlaces = new HashSet<>();
            int at = 0;
            for (int n = 0; n < MALFORMED; n++, at++) {
                if (n % (MALFORMED / GOOD) == 0) {
                    goodPlaces.add(at + 1);
                    at++;
                }
            }
            for (int i = 0; i < written.size(); i++) {
                if (!goodPlaces.contains(i)) {
                    places.put(written.get(i).partition() + "@" + written.get(i).offset(), values.get(i));
                }
            }
        }
        assertThat(places).hasSize(MALFORMED);
        return places;
    }

    private static byte[] large(int n) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes(utf8("{\"messages\":[{\"role\":\"user\",\"content\":\"" + n));
        bytes.writeBytes("x".repeat(512_000).getBytes(StandardCharsets.UTF_8));
        bytes.writeBytes(utf8(n % 2 == 0 ? "" : "\"}],\"job\":{\"nope\":1}}"));
        return bytes.toByteArray();
    }

    private static byte[] random(int n) {
        byte[] bytes = new byte[100];
        new Random(n).nextBytes(bytes);
        return bytes;
    }

    private static byte[] with(byte[] bytes, int at, int value) {
        bytes[at] = (byte) value;
        return bytes;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        return new String(record.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
    }
}
