package dev.penstock.testkit;

import dev.penstock.wire.record.EventHeaders;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.jspecify.annotations.Nullable;

/** Random invalid bytes from a seed: documents that are truncated, changed or absurd, and records with them. */
public final class HostileBytes {
    private static final List<String> DOCUMENTS = List.of(
            "{\"prompt\":\"a\",\"job\":{\"id\":\"mine\",\"timeout\":\"PT5M\",\"deadline\":\"2026-11-21T10:00:00Z\"},\"max_tokens\":16}",
            "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"H\u00e9\"}]}],\"stop\":[\"a\"],\"temperature\":0.25}",
            "{\"input\":[[1,2],[3]],\"encoding_format\":\"base64\",\"dimensions\":8}",
            "{\"command\":\"cancel\",\"id\":\"mine\"}",
            "{\"based_on\":-1,\"settings\":{\"nodes\":{\"a\":{\"backend\":\"vllm\",\"url\":\"http://a:1\"}},\"intake\":{\"mode\":\"share\"}}}",
            "{\"job\":{\"id\":\"mine\",\"event\":\"rejected\",\"seq\":0,\"attempt\":0,\"run\":\"r\",\"record\":{\"topic\":\"t\",\"partition\":0,\"offset\":7}},\"error\":{\"code\":\"id_conflict\",\"message\":\"m\"}}",
            "{\"job\":{\"event\":\"completed\",\"attempt\":1,\"node\":\"a\"},\"choices\":[{\"index\":0}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}");

    private static final List<String> PIECES = List.of(
            "1e99999999999999999999",
            "1e-2147483648",
            "-1E+2147483647",
            "9".repeat(999),
            "9".repeat(2_000),
            "0.".concat("1".repeat(2_000)),
            "[".repeat(300),
            "[".repeat(20_000),
            "{\"a\":".repeat(5_000),
            "[],".repeat(5_000),
            "\"".concat("n".repeat(60_000)).concat("\":"),
            "\\ud800",
            "\\u0000",
            "\0",
            "\u202e",
            "null",
            "true",
            "-",
            "NaN",
            "\"",
            "{",
            "}",
            "]",
            ",",
            ":",
            "-9223372036854775808",
            "18446744073709551616");

    private static final List<String> HEADERS = List.of(
            EventHeaders.JOB_ID,
            EventHeaders.ORIGIN,
            EventHeaders.HANDED_BACK,
            EventHeaders.NOT_BEFORE,
            EventHeaders.WAITS_FOR,
            "penstock-created-at",
            "penstock-key",
            "penstock-set-aside",
            "penstock-failures",
            "penstock-tenant",
            "penstock-priority",
            "penstock-wish",
            "event",
            "attempt",
            "seq",
            "run",
            "traceparent",
            "dlq-reason",
            "dlq-job-id",
            "dlq-partition",
            "dlq-offset",
            "dlq-attempts",
            "dlq-closes",
            "");

    private static final List<String> HEADER_VALUES = List.of(
            "",
            "mine",
            "-1",
            "1",
            "9223372036854775807",
            "-9223372036854775808",
            "99999999999999999999",
            "rejected",
            "completed",
            "chunk",
            "started",
            "prompt-jobs/0/7",
            "prompt-jobs/999999999/999999999999999999",
            "high",
            "node_down",
            "{\"model\":1e99999999999999999999}",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "x".repeat(5_000));

    private static final long[] TIMES = {-1, 0, 1, 1_795_000_000_000L, Long.MAX_VALUE, 253_402_300_800_000L};

    private HostileBytes() {}

    /** Returns a document, in most cases an invalid one. */
    public static byte[] document(Random random) {
        byte[] bytes = one(DOCUMENTS, random).getBytes(StandardCharsets.UTF_8);
        switch (random.nextInt(8)) {
            case 0 -> {
                byte[] noise = new byte[random.nextInt(200)];
                random.nextBytes(noise);
                return noise;
            }
            case 1 -> bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length + 1));
            case 2, 3, 4 -> {
                return spliced(bytes, random);
            }
            case 5 -> {
                return ("{\"prompt\":\"x\",\"z\":" + one(PIECES, random) + "}").getBytes(StandardCharsets.UTF_8);
            }
            default -> {
                for (int i = random.nextInt(4); i >= 0; i--) {
                    bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
                }
            }
        }
        return bytes;
    }

    /** Returns the bytes with an absurd piece in place of some of them, or between two. */
    public static byte[] spliced(byte[] bytes, Random random) {
        int at = random.nextInt(bytes.length + 1);
        int end = Math.min(bytes.length, at + random.nextInt(4));
        byte[] piece = one(PIECES, random).getBytes(StandardCharsets.UTF_8);
        byte[] all = Arrays.copyOf(bytes, at + piece.length + bytes.length - end);
        System.arraycopy(piece, 0, all, at, piece.length);
        System.arraycopy(bytes, end, all, at + piece.length, bytes.length - end);
        return all;
    }

    /** Returns records of one partition, with consecutive offsets from 0 on. */
    public static List<ConsumerRecord<byte[], byte[]>> records(String topic, int partition, long seed, int count) {
        Random random = new Random(seed);
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int offset = 0; offset < count; offset++) {
            records.add(record(topic, partition, offset, random));
        }
        return records;
    }

    /** Returns a record with a random key or none, random headers and a random time. */
    public static ConsumerRecord<byte[], byte[]> record(String topic, int partition, long offset, Random random) {
        byte @Nullable [] value = random.nextInt(20) == 0 ? null : document(random);
        byte @Nullable [] key = switch (random.nextInt(3)) {
            case 0 -> null;
            case 1 -> "mine".getBytes(StandardCharsets.UTF_8);
            default -> document(random);
        };
        RecordHeaders headers = new RecordHeaders();
        for (int i = random.nextInt(8); i > 0; i--) {
            headers.add(one(HEADERS, random), headerValue(random));
        }
        if (random.nextBoolean()) {
            // an event by its headers, whatever its value is
            for (String name : List.of("event", "attempt", "seq", "run")) {
                headers.add(name, headerValue(random));
            }
        }
        return new ConsumerRecord<>(
                topic,
                partition,
                offset,
                TIMES[random.nextInt(TIMES.length)],
                TimestampType.CREATE_TIME,
                key == null ? -1 : key.length,
                value == null ? -1 : value.length,
                key,
                value,
                headers,
                Optional.empty());
    }

    private static byte @Nullable [] headerValue(Random random) {
        return switch (random.nextInt(10)) {
            case 0 -> null;
            case 1 -> document(random);
            default -> one(HEADER_VALUES, random).getBytes(StandardCharsets.UTF_8);
        };
    }

    private static String one(List<String> all, Random random) {
        return all.get(random.nextInt(all.size()));
    }
}
