package dev.penstock.kafka.share;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.penstock.kafka.share.lane.Acknowledgement;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.ByteBufferOutputStream;
import org.apache.kafka.common.utils.ByteUtils;
import org.apache.kafka.common.utils.Crc32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class BatchReaderTest {
    private static final int MOST = 100_000;
    private static final int HUGE = 300 << 20;

    /** What came of an answer. */
    static class Heard implements BatchReader.Sink {
        final List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        final Map<Long, Acknowledgement> unread = new TreeMap<>();

        @Override
        public void read(ConsumerRecord<byte[], byte[]> record) {
            records.add(record);
        }

        @Override
        public void unread(long offset, Acknowledgement answer, String why) {
            assertThat(unread.put(offset, answer)).isNull();
        }

        List<Long> offsets() {
            return records.stream().map(ConsumerRecord::offset).toList();
        }
    }

    static Map<Long, Integer> wanted(long first, long last) {
        Map<Long, Integer> wanted = new TreeMap<>();
        for (long offset = first; offset <= last; offset++) {
            wanted.put(offset, 3);
        }
        return wanted;
    }

    private static Heard read(ByteBuffer batches, Map<Long, Integer> wanted) {
        return read(batches, wanted, MOST, 1 << 30);
    }

    private static Heard read(ByteBuffer batches, Map<Long, Integer> wanted, int most, long all) {
        Heard heard = new Heard();
        try (BatchReader reader = new BatchReader(most, all)) {
            reader.begin();
            reader.read("jobs", 4, batches, wanted, heard);
        }
        return heard;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static ByteBuffer batch(CompressionType codec, long first, SimpleRecord... records) {
        return MemoryRecords.withRecords(first, Compression.of(codec).build(), 17, records)
                .buffer();
    }

    private static ByteBuffer join(ByteBuffer... batches) {
        ByteBuffer all = ByteBuffer.allocate(
                Arrays.stream(batches).mapToInt(ByteBuffer::remaining).sum());
        for (ByteBuffer batch : batches) {
            all.put(batch.duplicate());
        }
        return all.flip();
    }

    @ParameterizedTest
    @EnumSource(CompressionType.class)
    void every_codec_is_read(CompressionType codec) {
        ByteBuffer batch = batch(
                codec,
                40,
                new SimpleRecord(1_000, bytes("key"), bytes("value"), new Header[] {
                    new RecordHeader("name", bytes("content")), new RecordHeader("empty", (byte[]) null)
                }),
                new SimpleRecord(2_000, (byte[]) null, null),
                new SimpleRecord(3_000, null, bytes("x".repeat(50_000))));

        Heard heard = read(batch, wanted(40, 42));

        assertThat(heard.offsets()).containsExactly(40L, 41L, 42L);
        assertThat(heard.unread).isEmpty();
        ConsumerRecord<byte[], byte[]> record = heard.records.getFirst();
        assertThat(record.key()).isEqualTo(bytes("key"));
        assertThat(record.value()).isEqualTo(bytes("value"));
        assertThat(record.timestamp()).isEqualTo(1_000);
        assertThat(record.partition()).isEqualTo(4);
        assertThat(record.leaderEpoch()).contains(17);
        assertThat(record.deliveryCount()).contains((short) 3);
        assertThat(record.headers().lastHeader("name").value()).isEqualTo(bytes("content"));
        assertThat(record.headers().lastHeader("empty").value()).isNull();
        assertThat(heard.records.get(1).value()).isNull();
        assertThat(heard.records.get(1).serializedValueSize()).isEqualTo(-1);
        assertThat(heard.records.get(2).value()).hasSize(50_000);
    }

    @ParameterizedTest
    @EnumSource(CompressionType.class)
    void a_large_value_comes_as_its_size_and_the_others_whole(CompressionType codec) {
        ByteBuffer batch = batch(
                codec,
                0,
                new SimpleRecord(1, null, bytes("before")),
                new SimpleRecord(1, null, new byte[MOST + 1]),
                new SimpleRecord(1, new byte[MOST + 1], bytes("large key")),
                new SimpleRecord(
                        1, null, bytes("large headers"), new Header[] {new RecordHeader("name", new byte[MOST])}),
                new SimpleRecord(1, null, bytes("after")));

        Heard heard = read(batch, wanted(0, 4));

        assertThat(heard.offsets()).containsExactly(0L, 1L, 2L, 3L, 4L);
        assertThat(heard.records.get(1).value()).isNull();
        assertThat(heard.records.get(1).serializedValueSize()).isEqualTo(MOST + 1);
        assertThat(heard.records.get(2).value()).isNull();
        assertThat(heard.records.get(2).serializedValueSize()).isPositive();
        assertThat(heard.records.get(3).value()).isNull();
        assertThat(heard.records.get(3).serializedValueSize()).isPositive();
        assertThat(heard.records.get(4).value()).isEqualTo(bytes("after"));
    }

    @Test
    void an_answer_keeps_at_least_one_value_and_no_more_than_its_limit() {
        ByteBuffer batch = batch(
                CompressionType.ZSTD,
                0,
                new SimpleRecord(1, null, new byte[1_000]),
                new SimpleRecord(1, null, new byte[1_000]),
                new SimpleRecord(1, null, new byte[1_000]));

        Heard heard = read(batch, wanted(0, 2), MOST, 1_500);

        assertThat(heard.records.get(0).value()).hasSize(1_000);
        assertThat(heard.records.get(1).value()).isNull();
        assertThat(heard.records.get(1).serializedValueSize()).isEqualTo(1_000);
        assertThat(read(batch, wanted(0, 2), MOST, 10).records.get(0).value()).hasSize(1_000);
    }

    @Test
    void only_wanted_records_are_read() {
        ByteBuffer batches = join(
                batch(
                        CompressionType.LZ4,
                        0,
                        new SimpleRecord(1, null, bytes("0")),
                        new SimpleRecord(1, null, bytes("1"))),
                batch(CompressionType.NONE, 2, new SimpleRecord(1, null, bytes("2"))));

        assertThat(read(batches, wanted(1, 1)).offsets()).containsExactly(1L);
        assertThat(read(batches, wanted(1, 2)).offsets()).containsExactly(1L, 2L);
    }

    @Test
    void control_batches_and_holes_are_gaps_and_a_missing_end_is_released() {
        ByteBuffer batches = join(
                batch(CompressionType.NONE, 0, new SimpleRecord(1, null, bytes("0"))),
                MemoryRecords.withEndTransactionMarker(
                                1, 5L, 17, 9L, (short) 0, new EndTransactionMarker(ControlRecordType.COMMIT, 0))
                        .buffer(),
                batch(CompressionType.NONE, 4, new SimpleRecord(1, null, bytes("4"))));

        Heard heard = read(batches, wanted(0, 6));

        assertThat(heard.offsets()).containsExactly(0L, 4L);
        assertThat(heard.unread)
                .containsEntry(1L, Acknowledgement.GAP)
                .containsEntry(2L, Acknowledgement.GAP)
                .containsEntry(3L, Acknowledgement.GAP)
                .containsEntry(5L, Acknowledgement.RELEASE)
                .containsEntry(6L, Acknowledgement.RELEASE);
    }

    @ParameterizedTest
    @EnumSource(CompressionType.class)
    void a_damaged_batch_is_rejected_and_no_other(CompressionType codec) {
        ByteBuffer damaged =
                batch(codec, 1, new SimpleRecord(1, null, bytes("1")), new SimpleRecord(1, null, bytes("2")));
        int last = damaged.limit() - 1;
        damaged.put(last, (byte) (damaged.get(last) ^ 1));
        ByteBuffer batches = join(
                batch(codec, 0, new SimpleRecord(1, null, bytes("0"))),
                damaged,
                batch(codec, 3, new SimpleRecord(1, null, bytes("3"))));

        Heard heard = read(batches, wanted(0, 3));

        assertThat(heard.offsets()).containsExactly(0L, 3L);
        assertThat(heard.unread).isEqualTo(Map.of(1L, Acknowledgement.REJECT, 2L, Acknowledgement.REJECT));
    }

    @ParameterizedTest
    @EnumSource(CompressionType.class)
    void fuzzed_batches_stop_nothing(CompressionType codec) {
        Random random = new Random(5);
        ByteBuffer whole = join(
                batch(codec, 0, some(random), some(random), some(random)),
                batch(codec, 3, some(random), some(random)),
                batch(codec, 5, some(random)));
        byte[] all = new byte[whole.remaining()];
        whole.get(all);
        for (int i = 0; i < 1_500; i++) {
            int length = random.nextInt(8) == 0 ? random.nextInt(all.length) : all.length;
            byte[] fuzzed = Arrays.copyOf(all, length);
            for (int j = 1 + random.nextInt(4); j > 0 && fuzzed.length > 0; j--) {
                fuzzed[random.nextInt(fuzzed.length)] = (byte) random.nextInt();
            }
            if (i % 2 == 0) {
                validate(fuzzed);
            }
            Heard heard = read(ByteBuffer.wrap(fuzzed), wanted(0, 5));

            List<Long> offsets = new ArrayList<>(heard.offsets());
            offsets.addAll(heard.unread.keySet());
            assertThat(offsets).as("round %d", i).containsExactlyInAnyOrder(0L, 1L, 2L, 3L, 4L, 5L);
        }
    }

    private static SimpleRecord some(Random random) {
        byte[] value = new byte[random.nextInt(3_000)];
        if (random.nextBoolean()) {
            random.nextBytes(value);
        }
        return new SimpleRecord(
                random.nextInt(1 << 30), bytes("key"), value, new Header[] {new RecordHeader("a", bytes("b"))});
    }

    /** Makes the checksums of the batches right, so that the damage comes through to the decompression. */
    private static void validate(byte[] batches) {
        ByteBuffer at = ByteBuffer.wrap(batches);
        for (int begin = 0; begin + DefaultRecordBatch.RECORD_BATCH_OVERHEAD <= batches.length; ) {
            int size = 12 + at.getInt(begin + 8);
            if (size < DefaultRecordBatch.RECORD_BATCH_OVERHEAD || begin + size > batches.length) {
                return;
            }
            seal(at, begin, size);
            begin += size;
        }
    }

    private static void seal(ByteBuffer at, int begin, int size) {
        int from = begin + DefaultRecordBatch.CRC_OFFSET + 4;
        at.putInt(begin + DefaultRecordBatch.CRC_OFFSET, (int) Crc32C.compute(at, from, begin + size - from));
    }

    @ParameterizedTest
    @EnumSource(value = CompressionType.class, mode = EnumSource.Mode.EXCLUDE, names = "NONE")
    void a_record_that_becomes_300_MB_is_never_in_memory(CompressionType codec) throws IOException {
        ByteBufferOutputStream to = new ByteBufferOutputStream(1 << 20);
        try (OutputStream out = Compression.of(codec).build().wrapForOutput(to, (byte) 2)) {
            writeHuge(out);
        }
        readHuge(codec, to.buffer().flip());
    }

    @Test
    void a_single_snappy_block_of_300_MB_is_never_in_memory() {
        ByteArrayOutputStream block = new ByteArrayOutputStream();
        for (int rest = head().length + HUGE + tail().length; rest > 0; rest >>>= 7) {
            block.write(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
        }
        literal(block, ByteBuffer.allocate(head().length + 1).put(head()).array());
        for (int left = HUGE - 1; left > 0; left -= 64) {
            // up to 64 bytes, from one byte back
            block.write(((Math.min(left, 64) - 1) << 2) | 2);
            block.write(1);
            block.write(0);
        }
        literal(block, tail());
        ByteBuffer frames = ByteBuffer.allocate(20 + block.size());
        frames.put(new byte[] {(byte) 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0})
                .putInt(1)
                .putInt(1);
        frames.putInt(block.size()).put(block.toByteArray());
        readHuge(CompressionType.SNAPPY, frames.flip());
    }

    private static void literal(ByteArrayOutputStream block, byte[] bytes) {
        assertThat(bytes.length).isBetween(1, 60);
        block.write((bytes.length - 1) << 2);
        block.writeBytes(bytes);
    }

    private static byte[] numbers(int... values) {
        ByteBuffer to = ByteBuffer.allocate(10 * values.length);
        for (int value : values) {
            ByteUtils.writeVarint(value, to);
        }
        return Arrays.copyOf(to.array(), to.position());
    }

    /** A record with a value of zeros, up to its value. */
    private static byte[] head() {
        byte[] fields = numbers(0, 0, 0, -1, HUGE);
        byte[] size = numbers(fields.length + HUGE + 1);
        return ByteBuffer.allocate(size.length + fields.length)
                .put(size)
                .put(fields)
                .array();
    }

    /** The end of the record, and a small one. */
    private static byte[] tail() {
        byte[] small = bytes("after");
        byte[] fields = numbers(0, 6 + small.length, 0, 0, 1, -1, small.length);
        return ByteBuffer.allocate(fields.length + small.length + 1)
                .put(fields)
                .put(small)
                .array();
    }

    private static void writeHuge(OutputStream out) throws IOException {
        out.write(head());
        byte[] zeros = new byte[1 << 16];
        for (int i = 0; i < HUGE / zeros.length; i++) {
            out.write(zeros);
        }
        out.write(tail());
        out.flush();
    }

    private static void readHuge(CompressionType codec, ByteBuffer records) {
        int size = DefaultRecordBatch.RECORD_BATCH_OVERHEAD + records.remaining();
        ByteBuffer batch = ByteBuffer.allocate(size);
        batch.position(DefaultRecordBatch.RECORD_BATCH_OVERHEAD);
        batch.put(records).flip();
        DefaultRecordBatch.writeHeader(
                batch,
                0,
                1,
                size,
                (byte) 2,
                codec,
                TimestampType.CREATE_TIME,
                1,
                1,
                -1,
                (short) -1,
                -1,
                false,
                false,
                false,
                17,
                2);
        batch.position(0);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = threads.getCurrentThreadAllocatedBytes();

        Heard heard = read(batch, wanted(0, 1));

        long allocated = threads.getCurrentThreadAllocatedBytes() - before;
        assertThat(heard.offsets()).as("%s", heard.unread).containsExactly(0L, 1L);
        assertThat(heard.records.get(0).value()).isNull();
        assertThat(heard.records.get(0).serializedValueSize()).isEqualTo(HUGE);
        assertThat(heard.records.get(1).value()).isEqualTo(bytes("after"));
        assertThat(allocated).isLessThan(8 << 20);
        System.out.printf("%s: %d bytes become %d, %d allocated%n", codec, size, HUGE, allocated);
    }
}
