package dev.penstock.kafka.share;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import org.apache.commons.compress.compressors.snappy.SnappyCompressorInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads Kafka's snappy frames without memory for a whole block. Snappy's own stream allocates a block as large as its
 * header says, and a block of 14 MB may say 300 MB. This stream is slower, so it is only for large blocks.
 */
final class SnappyFrames extends InputStream {
    private static final byte[] MAGIC = {(byte) 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
    private static final int MAGIC_START = 0x82534e41;
    private static final int HEADER = 16;

    /** How far back a block may refer: compressors cut at 64 kB. */
    private static final int REACH = 1 << 16;

    private final ByteBuffer frames;
    private final boolean framed;
    private final byte[] single = new byte[1];
    private @Nullable InputStream block;

    SnappyFrames(ByteBuffer compressed) {
        frames = compressed.duplicate();
        framed = skipHeader(frames);
    }

    /**
     * Returns the size of the largest block.
     *
     * @throws IOException the frames are damaged
     */
    static long largestBlock(ByteBuffer compressed) throws IOException {
        ByteBuffer at = compressed.duplicate();
        boolean framed = skipHeader(at);
        long largest = 0;
        for (ByteBuffer next = nextBlock(at, framed); next != null; next = nextBlock(at, framed)) {
            largest = Math.max(largest, size(next));
        }
        return largest;
    }

    private static boolean skipHeader(ByteBuffer at) {
        if (at.remaining() < HEADER) {
            return false;
        }
        for (int i = 0; i < MAGIC.length; i++) {
            if (at.get(at.position() + i) != MAGIC[i]) {
                return false;
            }
        }
        at.position(at.position() + HEADER);
        return true;
    }

    /** Returns the next block; null at the end. */
    private static @Nullable ByteBuffer nextBlock(ByteBuffer at, boolean framed) throws IOException {
        if (!at.hasRemaining()) {
            return null;
        }
        int length = at.remaining();
        if (framed) {
            length = length(at);
            if (length == MAGIC_START && at.remaining() >= HEADER - Integer.BYTES) {
                // a second stream follows the first
                at.position(at.position() + HEADER - Integer.BYTES);
                length = length(at);
            }
        }
        if (length < 0 || length > at.remaining()) {
            throw new IOException("a snappy block is longer than its frame");
        }
        ByteBuffer block = at.slice(at.position(), length);
        at.position(at.position() + length);
        return block;
    }

    private static int length(ByteBuffer at) throws IOException {
        if (at.remaining() < Integer.BYTES) {
            throw new IOException("a snappy frame ends early");
        }
        return at.getInt();
    }

    /** A block begins with its size after decompression, seven bits a byte. */
    private static long size(ByteBuffer block) throws IOException {
        long size = 0;
        for (int i = 0; i < 5 && i < block.limit(); i++) {
            size |= (long) (block.get(i) & 0x7f) << (7 * i);
            if (block.get(i) >= 0) {
                return size;
            }
        }
        throw new IOException("a snappy block has no size");
    }

    @Override
    public int read() throws IOException {
        return read(single, 0, 1) < 0 ? -1 : single[0] & 0xff;
    }

    @Override
    public int read(byte[] to, int offset, int length) throws IOException {
        if (length == 0) {
            return 0;
        }
        try {
            while (true) {
                if (block != null) {
                    int read = block.read(to, offset, length);
                    if (read > 0) {
                        return read;
                    }
                    block = null;
                }
                ByteBuffer next = nextBlock(frames, framed);
                if (next == null) {
                    return -1;
                }
                block = new SnappyCompressorInputStream(input(next), REACH);
            }
        } catch (IllegalArgumentException | IllegalStateException | IndexOutOfBoundsException e) {
            throw new IOException("not a snappy block", e);
        }
    }

    private static InputStream input(ByteBuffer block) {
        if (block.hasArray()) {
            return new ByteArrayInputStream(block.array(), block.arrayOffset(), block.limit());
        }
        byte[] copy = new byte[block.remaining()];
        block.duplicate().get(copy);
        return new ByteArrayInputStream(copy);
    }
}
