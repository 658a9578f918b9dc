package dev.penstock.kafka.share;

import dev.penstock.kafka.share.lane.Acknowledgement;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.errors.CorruptRecordException;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.utils.BufferSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Reads record batches one record at a time. A record larger than its limit is skipped during decompression and never
 * in memory. This is the only file that uses Kafka's record classes, which are internal to Kafka. It belongs to one
 * thread.
 */
final class BatchReader implements AutoCloseable {
    /** A batch that becomes larger is damaged or hostile. */
    static final long MOST_OF_BATCH = 1L << 30;

    /** Larger snappy blocks do not come into memory as a whole. */
    private static final int SNAPPY_BLOCK = 1 << 20;

    private static final int LEAST_HEADERS = 128 << 10;

    /** The memory of a header beside its bytes. */
    private static final int HEADER_COST = 96;

    private final int mostOfRecord;
    private final long mostOfAnswer;
    private final BufferSupplier buffers = BufferSupplier.create();
    private long kept;

    /** Takes the records of an answer. */
    interface Sink {
        /** The value is null, and {@code serializedValueSize} is its size, if it is too large to keep. */
        void read(ConsumerRecord<byte[], byte[]> record);

        /** There is no usable record at the offset. */
        void unread(long offset, Acknowledgement answer, String why);
    }

    /** The batch is not as Kafka writes it. */
    private static final class Damaged extends IOException {
        private static final long serialVersionUID = 1;

        Damaged(String why) {
            super(why);
        }
    }

    /**
     * @param mostOfRecord the limit of one record's value, of its key and of its headers, in bytes
     * @param mostOfAnswer the limit of all values of one answer, in bytes; one record is always kept
     */
    BatchReader(int mostOfRecord, long mostOfAnswer) {
        this.mostOfRecord = mostOfRecord;
        this.mostOfAnswer = mostOfAnswer;
    }

    /** Returns the bytes of an answer's records. */
    static ByteBuffer bytes(@Nullable Object records) {
        return records instanceof MemoryRecords memory ? memory.buffer() : ByteBuffer.allocate(0);
    }

    /** The next answer begins: its values have the whole room. */
    void begin() {
        kept = 0;
    }

    /**
     * Reads the wanted records. Each wanted offset comes once.
     *
     * @param wanted the delivery counts, by offset
     */
    void read(String topic, int partition, ByteBuffer records, Map<Long, Integer> wanted, Sink sink) {
        NavigableMap<Long, Integer> open = new TreeMap<>(wanted);
        long end = -1;
        int position = records.position();
        try {
            Iterator<MutableRecordBatch> batches =
                    MemoryRecords.readableRecords(records).batches().iterator();
            while (!open.isEmpty() && batches.hasNext()) {
                MutableRecordBatch batch = batches.next();
                if (batch.baseOffset() <= end || batch.lastOffset() < batch.baseOffset()) {
                    throw new Damaged("its offsets do not ascend");
                }
                end = batch.lastOffset();
                ByteBuffer bytes = records.slice(position, batch.sizeInBytes());
                position += batch.sizeInBytes();
                readBatch(new Source(topic, partition, batch, bytes), open, sink);
            }
        } catch (IOException | RuntimeException e) {
            // the next batch cannot be found: another delivery may bring it whole
            for (long offset : open.keySet()) {
                sink.unread(offset, Acknowledgement.RELEASE, "the batches are damaged: " + e.getMessage());
            }
            return;
        }
        for (long offset : open.keySet()) {
            if (offset <= end) {
                sink.unread(offset, Acknowledgement.GAP, "no record");
            } else {
                sink.unread(offset, Acknowledgement.RELEASE, "the answer ends before the record");
            }
        }
    }

    /** @param bytes the whole batch */
    private record Source(String topic, int partition, MutableRecordBatch batch, ByteBuffer bytes) {}

    private void readBatch(Source from, NavigableMap<Long, Integer> open, Sink sink) {
        MutableRecordBatch batch = from.batch();
        Map<Long, Integer> here = open.subMap(batch.baseOffset(), true, batch.lastOffset(), true);
        if (here.isEmpty()) {
            return;
        }
        String damage = "";
        Acknowledgement how = Acknowledgement.REJECT;
        try {
            batch.ensureValid();
            if (!(batch instanceof DefaultRecordBatch records)) {
                throw new Damaged("its format is older than Kafka 0.11");
            }
            if (!records.isControlBatch()) {
                readRecords(from, records, here, sink);
            }
        } catch (IOException | CorruptRecordException e) {
            damage = "the batch is damaged: " + e.getMessage();
        } catch (RuntimeException e) {
            damage = "the batch cannot be read here: " + Objects.requireNonNullElse(e.getCause(), e);
            // the library of a codec may be missing here, and not in another replica
            how = e.getCause() instanceof IOException ? Acknowledgement.REJECT : Acknowledgement.RELEASE;
        }
        for (long offset : here.keySet()) {
            sink.unread(offset, damage.isEmpty() ? Acknowledgement.GAP : how, damage.isEmpty() ? "no record" : damage);
        }
        here.clear();
    }

    private void readRecords(Source from, DefaultRecordBatch batch, Map<Long, Integer> here, Sink sink)
            throws IOException {
        try (Input in = new Input(open(batch, from.bytes()))) {
            Integer count = batch.countOrNull();
            for (int i = 0; i < (count == null ? 0 : count) && !here.isEmpty(); i++) {
                int size = in.readVarint();
                if (size < 0) {
                    throw new Damaged("a record has a negative size");
                }
                long end = in.position + size;
                in.readByte();
                long timestamp = in.readVarlong() + batch.baseTimestamp();
                long offset = in.readVarint() + batch.baseOffset();
                Integer deliveries = here.get(offset);
                if (deliveries != null) {
                    boolean appended = batch.timestampType() == TimestampType.LOG_APPEND_TIME;
                    ConsumerRecord<byte[], byte[]> record = readBody(
                            in,
                            end,
                            new Place(
                                    from.topic(),
                                    from.partition(),
                                    offset,
                                    appended ? batch.maxTimestamp() : timestamp,
                                    batch.timestampType(),
                                    batch.partitionLeaderEpoch(),
                                    deliveries));
                    here.remove(offset);
                    sink.read(record);
                }
                in.skipTo(end);
            }
        }
    }

    private InputStream open(DefaultRecordBatch batch, ByteBuffer bytes) throws IOException {
        if (batch.compressionType() == CompressionType.SNAPPY) {
            int begin = DefaultRecordBatch.RECORD_BATCH_OVERHEAD;
            ByteBuffer frames = bytes.slice(begin, bytes.limit() - begin);
            if (SnappyFrames.largestBlock(frames) > SNAPPY_BLOCK) {
                return new SnappyFrames(frames);
            }
        }
        return batch.recordInputStream(buffers);
    }

    /** Where a record lies. */
    private record Place(
            String topic,
            int partition,
            long offset,
            long time,
            TimestampType timeType,
            int leaderEpoch,
            int deliveries) {
        ConsumerRecord<byte[], byte[]> with(
                byte @Nullable [] key, byte @Nullable [] value, int size, RecordHeaders headers) {
            @SuppressWarnings("NullAway") // Kafka's records have null keys and values
            ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>(
                    topic,
                    partition,
                    offset,
                    time,
                    timeType,
                    key == null ? -1 : key.length,
                    size,
                    key,
                    value,
                    headers,
                    Optional.of(leaderEpoch),
                    Optional.of((short) Math.min(deliveries, Short.MAX_VALUE)));
            return record;
        }

        /** A record without its value, key and headers. */
        ConsumerRecord<byte[], byte[]> marker(long size) {
            return with(null, null, (int) Math.min(size, Integer.MAX_VALUE), new RecordHeaders());
        }
    }

    private ConsumerRecord<byte[], byte[]> readBody(Input in, long end, Place place) throws IOException {
        int keySize = in.readSize(end);
        if (keySize > mostOfRecord) {
            return place.marker(mostOfRecord + 1L);
        }
        byte[] key = in.readBytes(keySize);
        long cost = Math.max(0, keySize);
        int valueSize = in.readSize(end);
        boolean fits = valueSize <= mostOfRecord && (kept == 0 || kept + cost + valueSize <= mostOfAnswer);
        byte[] value = fits ? in.readBytes(valueSize) : null;
        if (fits) {
            cost += Math.max(0, valueSize);
        } else {
            in.skipTo(in.position + valueSize);
        }
        RecordHeaders headers = new RecordHeaders();
        // without room for a value, there is some for usual headers
        int most = kept + cost > mostOfAnswer ? Math.min(mostOfRecord, LEAST_HEADERS) : mostOfRecord;
        long headersCost = readHeaders(in, end, headers, most);
        if (headersCost < 0) {
            return place.marker(mostOfRecord + 1L);
        }
        if (in.position != end) {
            throw new Damaged("a record is shorter than its size");
        }
        kept += cost + headersCost;
        return place.with(key, value, valueSize, headers);
    }

    /** @return their size; -1 if they are larger than the limit */
    private static long readHeaders(Input in, long end, RecordHeaders headers, int most) throws IOException {
        int count = in.readVarint();
        if (count < 0) {
            throw new Damaged("a record has a negative number of headers");
        }
        long cost = 0;
        for (int i = 0; i < count; i++) {
            int nameSize = in.readSize(end);
            if (nameSize < 0) {
                throw new Damaged("a header has no name");
            }
            cost += HEADER_COST + nameSize;
            if (cost > most) {
                return -1;
            }
            byte[] name = in.readBytes(nameSize);
            int size = in.readSize(end);
            cost += Math.max(0, size);
            if (cost > most) {
                return -1;
            }
            addHeader(
                    headers, new String(name == null ? new byte[0] : name, StandardCharsets.UTF_8), in.readBytes(size));
        }
        return cost;
    }

    @SuppressWarnings("NullAway") // Kafka's headers have null values
    private static void addHeader(RecordHeaders headers, String name, byte @Nullable [] value) {
        headers.add(name, value);
    }

    @Override
    public void close() {
        buffers.close();
    }

    /** A decompressed batch. It knows its position, and ends at its limit. */
    private static final class Input implements AutoCloseable {
        private final InputStream in;
        private long position;

        Input(InputStream in) {
            this.in = in;
        }

        int readByte() throws IOException {
            int next = in.read();
            if (next < 0) {
                throw new Damaged("it ends early");
            }
            position++;
            return next;
        }

        int readVarint() throws IOException {
            long value = readVarlong();
            if (value != (int) value) {
                throw new Damaged("a number is too large");
            }
            return (int) value;
        }

        long readVarlong() throws IOException {
            long value = 0;
            for (int shift = 0; shift < 64; shift += 7) {
                int next = readByte();
                value |= (long) (next & 0x7f) << shift;
                if (next < 0x80) {
                    return (value >>> 1) ^ -(value & 1);
                }
            }
            throw new Damaged("a number is too long");
        }

        /** Reads a size that lies within the record; -1 means null. */
        int readSize(long end) throws IOException {
            int size = readVarint();
            if (size < -1 || size > end - position) {
                throw new Damaged("a part of a record is larger than the record");
            }
            return size;
        }

        byte @Nullable [] readBytes(int size) throws IOException {
            if (size < 0) {
                return null;
            }
            byte[] bytes = new byte[size];
            if (in.readNBytes(bytes, 0, size) < size) {
                throw new Damaged("it ends early");
            }
            position += size;
            return bytes;
        }

        void skipTo(long end) throws IOException {
            if (position > end) {
                throw new Damaged("a record is longer than its size");
            }
            if (end > MOST_OF_BATCH) {
                throw new Damaged("it expands to more than " + MOST_OF_BATCH + " bytes");
            }
            while (position < end) {
                long skipped = in.skip(end - position);
                if (skipped <= 0) {
                    readByte();
                } else {
                    position += skipped;
                }
            }
        }

        @Override
        public void close() throws IOException {
            in.close();
        }
    }
}
