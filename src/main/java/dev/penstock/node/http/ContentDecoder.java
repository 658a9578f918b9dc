package dev.penstock.node.http;

import dev.penstock.node.protocol.answer.ServerErrors;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import org.jspecify.annotations.Nullable;

/**
 * Decodes the Content-Encoding of a body, piece by piece. Penstock requests no encoding, but some servers and proxies
 * compress anyway. A limit prevents a small body from expanding to a huge one. Not thread-safe: the event loop of the
 * connection owns it.
 */
public final class ContentDecoder {
    private static final int PIECE = 16 * 1024;

    /**
     * A body may always expand to this size. Beyond that, the expanded body may have at most a fixed multiple of the
     * compressed size.
     */
    private static final long FREE = 16L * 1024 * 1024;

    private static final long MOST_TIMES = 200;

    private static final int FIXED_HEADER = 10;
    private static final int TRAILER = 8;
    private static final int FLAG_CHECKSUM = 2;
    private static final int FLAG_EXTRA = 4;
    private static final int FLAG_NAME = 8;
    private static final int FLAG_COMMENT = 16;

    private final Coding coding;
    private final ByteArrayOutputStream waiting = new ByteArrayOutputStream();
    private final CRC32 checksum = new CRC32();
    private @Nullable Inflater inflater;
    private boolean hasBegun;
    private boolean inTrailer;
    private long taken;
    private long given;

    private enum Coding {
        NONE,
        GZIP,
        DEFLATE
    }

    /** The reason why a body cannot be decoded. */
    public static final class Undecodable extends Exception {
        Undecodable(String what) {
            super(what, null, false, false);
        }

        String what() {
            return String.valueOf(getMessage());
        }
    }

    private ContentDecoder(Coding coding) {
        this.coding = coding;
    }

    /** @param header the answer's Content-Encoding header; null if it has none */
    static ContentDecoder of(@Nullable String header) throws Undecodable {
        List<String> codings = Stream.of(Optional.ofNullable(header).orElse("").split(","))
                .map(coding -> coding.strip().toLowerCase(Locale.ROOT))
                .filter(coding -> !coding.isEmpty() && !coding.equals("identity") && !coding.equals("none"))
                .toList();
        return switch (String.join(", ", codings)) {
            case "" -> new ContentDecoder(Coding.NONE);
            case "gzip", "x-gzip" -> new ContentDecoder(Coding.GZIP);
            case "deflate" -> new ContentDecoder(Coding.DEFLATE);
            default ->
                throw new Undecodable("sent its answer with Content-Encoding '%s', which Penstock did not ask for"
                        .formatted(ServerErrors.shorten(String.join(", ", codings))));
        };
    }

    /** Decodes a short body as a whole. If the body cannot be decoded, the result is the reason. */
    public static String text(@Nullable String header, byte[] body) {
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        try {
            ContentDecoder decoder = of(header);
            try {
                decoder.feed(body, piece -> {
                    text.writeBytes(piece);
                    return text.size() <= FREE;
                });
            } finally {
                decoder.close();
            }
            return text.toString(StandardCharsets.UTF_8);
        } catch (Undecodable e) {
            return e.what();
        }
    }

    /**
     * Decodes a piece.
     *
     * @param out receives the decoded bytes; returns false to stop the decoding
     * @return false if {@code out} stopped the decoding
     */
    boolean feed(byte[] bytes, Predicate<byte[]> out) throws Undecodable {
        if (coding == Coding.NONE) {
            return out.test(bytes);
        }
        taken += bytes.length;
        byte[] all = bytes;
        if (waiting.size() > 0) {
            waiting.writeBytes(bytes);
            all = waiting.toByteArray();
            waiting.reset();
        }
        int at = 0;
        while (at < all.length) {
            if (inflater == null && !inTrailer) {
                int length = begin(all, at);
                if (length < 0) {
                    break;
                }
                at += length;
            } else if (inTrailer) {
                if (all.length - at < TRAILER) {
                    break;
                }
                check(all, at);
                at += TRAILER;
            } else {
                int left = inflate(all, at, out);
                if (left < 0) {
                    return false;
                }
                at = all.length - left;
            }
        }
        waiting.write(all, at, all.length - at);
        return true;
    }

    /** Ends the body. Throws if the body is incomplete. */
    void end() throws Undecodable {
        boolean whole = coding == Coding.NONE || (inflater == null && !inTrailer && waiting.size() == 0);
        close();
        if (!whole) {
            throw broken();
        }
    }

    /** Frees the decoder's memory outside of the heap. */
    void close() {
        if (inflater != null) {
            inflater.end();
            inflater = null;
        }
    }

    /** @return the length of the header; negative if it is not complete yet */
    private int begin(byte[] bytes, int at) throws Undecodable {
        if (coding == Coding.DEFLATE) {
            if (hasBegun) {
                throw broken();
            }
            if (bytes.length - at < 2) {
                return -1;
            }
            // RFC 9110 requires the zlib format, but some servers send the raw format
            boolean zlib = (bytes[at] & 0x0f) == 8 && ((bytes[at] & 0xff) << 8 | (bytes[at + 1] & 0xff)) % 31 == 0;
            inflater = new Inflater(!zlib);
            hasBegun = true;
            return 0;
        }
        int length = headerLength(bytes, at);
        if (length >= 0) {
            inflater = new Inflater(true);
            checksum.reset();
            hasBegun = true;
        } else if (bytes.length - at > PIECE) {
            throw broken();
        }
        return length;
    }

    private static int headerLength(byte[] bytes, int start) throws Undecodable {
        if (bytes.length - start < FIXED_HEADER) {
            return -1;
        }
        if ((bytes[start] & 0xff) != 0x1f || (bytes[start + 1] & 0xff) != 0x8b || bytes[start + 2] != 8) {
            throw broken();
        }
        int flags = bytes[start + 3];
        int at = start + FIXED_HEADER;
        if ((flags & FLAG_EXTRA) != 0) {
            if (bytes.length < at + 2) {
                return -1;
            }
            at += 2 + (bytes[at] & 0xff) + ((bytes[at + 1] & 0xff) << 8);
        }
        for (int flag : new int[] {FLAG_NAME, FLAG_COMMENT}) {
            if ((flags & flag) != 0) {
                while (at < bytes.length && bytes[at] != 0) {
                    at++;
                }
                at++;
            }
        }
        at += (flags & FLAG_CHECKSUM) != 0 ? 2 : 0;
        return at > bytes.length ? -1 : at - start;
    }

    /** @return the number of bytes that are left; negative if {@code out} stopped the decoding */
    private int inflate(byte[] bytes, int at, Predicate<byte[]> out) throws Undecodable {
        Inflater from = inflater;
        if (from == null) {
            throw new IllegalStateException("nothing has begun");
        }
        byte[] piece = new byte[PIECE];
        from.setInput(bytes, at, bytes.length - at);
        try {
            while (!from.finished()) {
                int length = from.inflate(piece);
                if (length == 0 && !from.finished()) {
                    if (from.needsDictionary()) {
                        throw broken();
                    }
                    return from.getRemaining();
                }
                given += length;
                if (given > FREE && given > MOST_TIMES * taken) {
                    throw new Undecodable(
                            "sent a compressed answer that expands more than %d times".formatted(MOST_TIMES));
                }
                byte[] some = Arrays.copyOf(piece, length);
                checksum.update(some);
                if (length > 0 && !out.test(some)) {
                    return -1;
                }
            }
        } catch (DataFormatException e) {
            throw broken();
        }
        int left = from.getRemaining();
        close();
        inTrailer = coding == Coding.GZIP;
        return left;
    }

    private void check(byte[] bytes, int at) throws Undecodable {
        long stored = 0;
        for (int i = 3; i >= 0; i--) {
            stored = stored << 8 | (bytes[at + i] & 0xff);
        }
        if (stored != checksum.getValue()) {
            throw broken();
        }
        inTrailer = false;
    }

    private static Undecodable broken() {
        return new Undecodable("sent a compressed answer that is broken");
    }
}
