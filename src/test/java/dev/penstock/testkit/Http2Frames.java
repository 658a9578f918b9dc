package dev.penstock.testkit;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** Frames of HTTP/2 (RFC 9113), byte by byte: no client sends such frames. */
public final class Http2Frames {
    public static final int DATA = 0;
    public static final int HEADERS = 1;
    public static final int RST_STREAM = 3;

    private static final int SETTINGS = 4;
    private static final int WINDOW_UPDATE = 8;
    private static final int INITIAL_WINDOW_SIZE = 4;
    private static final int END_STREAM_AND_HEADERS = 5;
    private static final int METHOD_GET = 0x82;
    private static final int SCHEME_HTTP = 0x86;
    private static final int STATUS_200 = 0x88;
    /** A new size of the table of headers, and a literal status. */
    private static final int BEGIN = 8;

    private static final int PATH = 0x04;
    private static final int AUTHORITY = 0x01;

    private Http2Frames() {}

    /**
     * A frame that the other side has sent.
     *
     * @param isOk whether these are the headers of a 200: the status comes first
     */
    public record Frame(int type, int stream, int length, boolean isOk) {}

    /**
     * The begin of a connection.
     *
     * @param window the bytes that the peer may send of each stream before a window update
     */
    public static byte[] preface(int window) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
        bytes.writeBytes(frame(
                SETTINGS,
                0,
                0,
                ByteBuffer.allocate(6)
                        .putShort((short) INITIAL_WINDOW_SIZE)
                        .putInt(window)
                        .array()));
        return bytes.toByteArray();
    }

    /** @param stream an odd number, larger than the one before */
    public static byte[] get(int stream, String path) {
        ByteArrayOutputStream headers = new ByteArrayOutputStream();
        headers.write(METHOD_GET);
        headers.write(SCHEME_HTTP);
        text(headers, PATH, path);
        text(headers, AUTHORITY, "127.0.0.1");
        return frame(HEADERS, END_STREAM_AND_HEADERS, stream, headers.toByteArray());
    }

    /** @param stream 0: the connection */
    public static byte[] windowUpdate(int stream, int bytes) {
        return frame(
                WINDOW_UPDATE, 0, stream, ByteBuffer.allocate(4).putInt(bytes).array());
    }

    private static void text(ByteArrayOutputStream headers, int name, String value) {
        byte[] bytes = value.getBytes(StandardCharsets.US_ASCII);
        headers.write(name);
        headers.write(bytes.length);
        headers.writeBytes(bytes);
    }

    private static byte[] frame(int type, int flags, int stream, byte[] payload) {
        return ByteBuffer.allocate(9 + payload.length)
                .put((byte) (payload.length >> 16))
                .putShort((short) payload.length)
                .put((byte) type)
                .put((byte) flags)
                .putInt(stream)
                .put(payload)
                .array();
    }

    /** @throws EOFException there is no more */
    public static Frame read(InputStream from) throws IOException {
        DataInputStream in = new DataInputStream(from);
        int length = (in.readUnsignedByte() << 16) | in.readUnsignedShort();
        int type = in.readUnsignedByte();
        in.skipNBytes(1);
        int stream = in.readInt();
        byte[] begin = in.readNBytes(Math.min(length, BEGIN));
        in.skipNBytes(length - begin.length);
        boolean isOk = type == HEADERS && new String(begin, StandardCharsets.ISO_8859_1).indexOf(STATUS_200) >= 0;
        return new Frame(type, stream, length, isOk);
    }
}
