package dev.penstock.intake.record;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import org.apache.commons.compress.compressors.snappy.SnappyCompressorInputStream;

/** Reads snappy's raw blocks, in Java. */
final class SnappyBlocks {
    /**
     * The longest distance of a back reference in a block: compressors cut their input into parts of 64 kB
     * (format_description.txt of snappy).
     */
    private static final int REACH = 1 << 16;

    private SnappyBlocks() {}

    /**
     * @return the length of the content by the block's header
     * @throws IOException it is not a block
     */
    static int size(byte[] block, int offset, int length) throws IOException {
        try (SnappyCompressorInputStream in = open(block, offset, length)) {
            return in.getSize();
        }
    }

    /**
     * @return the number of bytes written, which is the whole content of the block
     * @throws IOException it is not a block, is shorter than its header states, or does not fit
     */
    static int read(byte[] block, int offset, int length, byte[] to, int toOffset) throws IOException {
        try (SnappyCompressorInputStream in = open(block, offset, length)) {
            int size = in.getSize();
            if (size > to.length - toOffset || in.readNBytes(to, toOffset, size) < size) {
                throw new IOException("the snappy block does not give the " + size + " bytes of its header");
            }
            return size;
        } catch (IllegalArgumentException | IllegalStateException | IndexOutOfBoundsException e) {
            throw new IOException("not a snappy block", e);
        }
    }

    private static SnappyCompressorInputStream open(byte[] block, int offset, int length) throws IOException {
        return new SnappyCompressorInputStream(new ByteArrayInputStream(block, offset, length), REACH);
    }
}
