package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Cuts the deltas of an answer into chunks that each fit into one record. The pieces together equal the original. Text
 * is cut between code points, and lists of log probabilities between tokens. A piece that cannot be cut in this way
 * stays whole.
 */
public final class ChunkPieces {
    /** The largest chunk in bytes. It is smaller than a record may be, because readers keep few bytes for each job. */
    private static final int LARGEST = 256 * 1024;

    /** The bytes of an event without its deltas: job, id, model. */
    private static final int ENVELOPE = 4 * 1024;
    /** The bytes of field names, index and brackets around a piece. */
    private static final int AROUND_A_PIECE = 256;
    /**
     * The most bytes that JSON writes for one character: six for a control character, and at most six for half of a
     * surrogate pair.
     */
    private static final int LONGEST_CHAR = 6;

    private final int most;
    private final List<List<TokenEvent>> chunks = new ArrayList<>();
    private List<TokenEvent> chunk = new ArrayList<>();
    private long bytes;

    private ChunkPieces(int most) {
        this.most = most;
    }

    /**
     * Returns the same deltas in the same order, in as many chunks as they need.
     *
     * @param room the number of bytes that an event may have
     */
    public static List<List<TokenEvent>> of(List<TokenEvent> deltas, int room) {
        ChunkPieces pieces = new ChunkPieces(Math.max(2 * LONGEST_CHAR, Math.min(LARGEST, room) - ENVELOPE));
        deltas.forEach(pieces::cut);
        pieces.close();
        return pieces.chunks;
    }

    private void cut(TokenEvent delta) {
        switch (delta) {
            case TokenEvent.Text(int choice, TokenEvent.Field field, String text) ->
                cut(text).forEach(piece -> add(new TokenEvent.Text(choice, field, piece), bytes(piece)));
            case TokenEvent.ToolCall call -> cutCall(call);
            case TokenEvent.Logprobs(int choice, Object value) ->
                cutList(choice, Json.mapper().valueToTree(value));
            case TokenEvent.Thinking thinking -> add(thinking, Json.bytes(thinking.block()).length);
            case TokenEvent.Role role -> add(role, bytes(role.role()));
            case TokenEvent.Finish finish -> add(finish, bytes(finish.reason()));
            case TokenEvent.Model _,
                    TokenEvent.Embedding _,
                    TokenEvent.Scored _,
                    TokenEvent.Spent _,
                    TokenEvent.End _,
                    TokenEvent.Broken _ -> {}
        }
    }

    /** Cuts a tool call. Only the first piece has the call's id and name. */
    private void cutCall(TokenEvent.ToolCall call) {
        boolean first = true;
        for (String piece : cut(call.arguments())) {
            String id = first ? call.id() : null;
            String name = first ? call.name() : null;
            add(
                    new TokenEvent.ToolCall(call.choice(), call.index(), id, name, piece),
                    bytes(piece) + (id == null ? 0 : bytes(id)) + (name == null ? 0 : bytes(name)));
            first = false;
        }
    }

    /** Cuts all lists of the value at the same places, because each has about one entry per token. */
    private void cutList(int choice, JsonNode value) {
        int length = 0;
        for (JsonNode list : value) {
            length = Math.max(length, list.isArray() ? list.size() : 0);
        }
        cutList(choice, value, 0, length);
    }

    private void cutList(int choice, JsonNode value, int start, int end) {
        JsonNode part = part(value, start, end);
        int size = Json.bytes(part).length;
        if (size + AROUND_A_PIECE <= most || end - start < 2) {
            add(new TokenEvent.Logprobs(choice, part), size);
            return;
        }
        int middle = (start + end) >>> 1;
        cutList(choice, value, start, middle);
        cutList(choice, value, middle, end);
    }

    /** Returns a part of the value. Only the first part has the fields that are not lists. */
    private static JsonNode part(JsonNode value, int start, int end) {
        if (!(value instanceof ObjectNode)) {
            return value;
        }
        ObjectNode part = Json.mapper().createObjectNode();
        for (Map.Entry<String, JsonNode> field : value.properties()) {
            if (field.getValue() instanceof ArrayNode list) {
                ArrayNode some = part.putArray(field.getKey());
                for (int i = start; i < Math.min(end, list.size()); i++) {
                    some.add(list.get(i));
                }
            } else if (start == 0) {
                part.set(field.getKey(), field.getValue());
            }
        }
        return part;
    }

    private void add(TokenEvent piece, long size) {
        if (!chunk.isEmpty() && bytes + size + AROUND_A_PIECE > most) {
            close();
        }
        chunk.add(piece);
        bytes += size + AROUND_A_PIECE;
    }

    private void close() {
        if (!chunk.isEmpty()) {
            chunks.add(chunk);
        }
        chunk = new ArrayList<>();
        bytes = 0;
    }

    /** Cuts a text. Returns at least one piece, so that an empty text is kept. */
    private List<String> cut(String text) {
        long room = Math.max(LONGEST_CHAR * 2, most - AROUND_A_PIECE);
        if ((long) text.length() * LONGEST_CHAR <= room) {
            return List.of(text);
        }
        List<String> pieces = new ArrayList<>();
        int start = 0;
        long size = 0;
        int at = 0;
        while (at < text.length()) {
            int codePoint = text.codePointAt(at);
            int more = bytes(codePoint);
            if (size + more > room) {
                pieces.add(text.substring(start, at));
                start = at;
                size = 0;
            }
            size += more;
            at += Character.charCount(codePoint);
        }
        pieces.add(text.substring(start));
        return pieces;
    }

    private static long bytes(String text) {
        long bytes = 0;
        int at = 0;
        while (at < text.length()) {
            int codePoint = text.codePointAt(at);
            bytes += bytes(codePoint);
            at += Character.charCount(codePoint);
        }
        return bytes;
    }

    /** Returns the largest number of bytes that a code point takes in JSON. */
    private static int bytes(int codePoint) {
        if (codePoint < 0x20) {
            return LONGEST_CHAR;
        }
        if (codePoint < 0x80) {
            return codePoint == '"' || codePoint == '\\' ? 2 : 1;
        }
        if (codePoint < 0x800) {
            return 2;
        }
        if (codePoint < 0x10000) {
            return Character.isSurrogate((char) codePoint) ? LONGEST_CHAR : 3;
        }
        return 2 * LONGEST_CHAR;
    }
}
