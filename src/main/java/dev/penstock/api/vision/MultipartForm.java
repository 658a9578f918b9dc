package dev.penstock.api.vision;

import dev.penstock.wire.InvalidField;
import io.vertx.core.buffer.Buffer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads the parts of a form that a client sends as multipart/form-data (RFC 7578). The whole form is in memory already,
 * because its size is limited as that of any other body. A form that is not exactly well-formed is refused: a client and
 * Penstock must not read it in two ways.
 */
final class MultipartForm {
    /** The content type of a form. The boundary may be quoted. */
    private static final Pattern TYPE = Pattern.compile(
            "(?i)\\s*multipart/form-data\\s*;\\s*boundary=(?:\"([^\"]{1,70})\"|([^\\s\";,]{1,70}))\\s*");

    private static final Pattern PARAMETER =
            Pattern.compile(";\\s*([A-Za-z*]+)=(?:\"([^\"\\\\]*+(?:\\\\.[^\"\\\\]*+)*+)\"|([^\\s;\"]+))");
    private static final int MOST_PARTS = 64;
    private static final int LONGEST_HEAD = 8 * 1024;
    private static final byte[] LINE = bytes("\r\n");
    private static final byte[] HEAD_END = bytes("\r\n\r\n");
    private static final byte[] LAST = bytes("--");

    private final byte[] body;
    private final byte[] delimiter;

    /**
     * A part.
     *
     * @param type the part's content type without parameters; null if it has none
     * @param isFile whether the part has the name of a file
     */
    record Part(String name, @Nullable String type, boolean isFile, Buffer content) {
        /** Returns the content as text. */
        String text() throws InvalidField {
            try {
                return StandardCharsets.UTF_8
                        .newDecoder()
                        .decode(ByteBuffer.wrap(content.getBytes()))
                        .toString();
            } catch (CharacterCodingException e) {
                throw new InvalidField(name, "is no UTF-8 text", e);
            }
        }
    }

    private MultipartForm(byte[] body, String boundary) {
        this.body = body;
        delimiter = bytes("--" + boundary);
    }

    /** @param contentType the call's content type, with the boundary */
    static List<Part> parts(byte[] body, String contentType) throws InvalidField {
        Matcher type = TYPE.matcher(contentType);
        if (!type.matches()) {
            throw malformed("its content type has no boundary");
        }
        String boundary = type.group(1) == null ? type.group(2) : type.group(1);
        return new MultipartForm(body, boundary).parts();
    }

    private List<Part> parts() throws InvalidField {
        List<Part> parts = new ArrayList<>();
        if (!isAt(delimiter, 0)) {
            throw malformed("it does not begin with its boundary");
        }
        int at = delimiter.length;
        byte[] next = bytes("\r\n" + new String(delimiter, StandardCharsets.ISO_8859_1));
        while (!isAt(LAST, at)) {
            if (!isAt(LINE, at)) {
                throw malformed("a boundary is not a line of its own");
            }
            if (parts.size() == MOST_PARTS) {
                throw malformed("it has more than " + MOST_PARTS + " parts");
            }
            // the head of a part without headers is only the empty line
            int headEnd = find(HEAD_END, at, at + LONGEST_HEAD);
            int end = headEnd < 0 ? -1 : find(next, headEnd + LINE.length, body.length);
            if (end < 0) {
                throw malformed("a part has no end");
            }
            String head = new String(body, at, headEnd - at, StandardCharsets.UTF_8);
            parts.add(part(head, Arrays.copyOfRange(body, Math.min(end, headEnd + HEAD_END.length), end)));
            at = end + next.length;
        }
        return parts;
    }

    private static Part part(String head, byte[] content) throws InvalidField {
        String disposition = null;
        String type = null;
        for (String line : head.split("\r\n", -1)) {
            int colon = line.indexOf(':');
            String name = colon < 0 ? "" : line.substring(0, colon).strip().toLowerCase(Locale.ROOT);
            String value = line.substring(colon + 1).strip();
            switch (name) {
                case "content-disposition" -> disposition = value;
                case "content-type" -> type = value.replaceFirst(";.*$", "").strip();
                case "content-transfer-encoding" -> {
                    if (!value.equalsIgnoreCase("binary") && !value.equalsIgnoreCase("8bit")) {
                        throw malformed("a part is encoded as " + value);
                    }
                }
                default -> {
                    // no other header changes the part
                }
            }
        }
        if (disposition == null || !disposition.toLowerCase(Locale.ROOT).startsWith("form-data")) {
            throw malformed("a part has no name");
        }
        String name = null;
        boolean isFile = false;
        Matcher parameter = PARAMETER.matcher(disposition);
        while (parameter.find()) {
            String value = parameter.group(2) == null ? parameter.group(3) : parameter.group(2);
            String of = parameter.group(1).toLowerCase(Locale.ROOT);
            if (of.equals("name")) {
                if (name != null) {
                    throw malformed("a part has two names");
                }
                name = value;
            }
            isFile |= of.startsWith("filename");
        }
        if (name == null || name.isEmpty()) {
            throw malformed("a part has no name");
        }
        return new Part(name, type, isFile, Buffer.buffer(content));
    }

    private boolean isAt(byte[] what, int at) {
        return at + what.length <= body.length && Arrays.equals(body, at, at + what.length, what, 0, what.length);
    }

    /**
     * Returns where these bytes begin first; -1 if they do not begin before the limit. The bytes begin with a line break,
     * so few places are compared in full.
     */
    private int find(byte[] what, int from, int limit) {
        for (int at = from; at < Math.min(limit, body.length); at++) {
            if (body[at] == what[0] && isAt(what, at)) {
                return at;
            }
        }
        return -1;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static InvalidField malformed(String why) {
        return new InvalidField("$", "the body is no well-formed multipart/form-data: " + why);
    }
}
