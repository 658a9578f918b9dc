package dev.penstock.testkit.upstream;

import io.vertx.core.buffer.Buffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.LongSupplier;

/**
 * An answer of a {@link FakeUpstream}: its text, its pace, where it breaks off, and the pieces in which its bytes
 * leave. Every method returns a new answer.
 *
 * <p>The count of tokens includes the reasoning tokens, which come first. A server that sends its headers with the
 * first token (llama-server, Ollama) has sent nothing if it breaks off before that. An answer that is not streamed
 * goes out as a whole at the end, or not at all.
 */
public record Answer(Content content, NodeThroughput pace, Ending ending, Pieces pieces, List<String> headers) {
    public Answer {
        headers = List.copyOf(headers);
    }

    /** The content of an answer. */
    public sealed interface Content {
        record Text(List<String> reasoning, List<String> tokens, String finishReason, OptionalInt promptTokens)
                implements Content {
            public Text {
                reasoning = List.copyOf(reasoning);
                tokens = List.copyOf(tokens);
            }

            int size() {
                return reasoning.size() + tokens.size();
            }
        }

        /** The error document of the simulated server. */
        record Refusal(int status, String message) implements Content {}

        /**
         * A response with a given body.
         *
         * @param contentType empty for the JSON type of the simulated server
         */
        record Document(int status, String contentType, String body) implements Content {}

        /** A whole given response: status line, headers, and a body with its framing. */
        record Raw(Buffer bytes) implements Content {}
    }

    /**
     * The times of an answer.
     *
     * @param firstByteNanos from the request to the headers, if the server sends them before the first token
     * @param firstTokenNanos from there to the first token
     * @param betweenNanos from token to token; called on the event loop
     */
    public record NodeThroughput(long firstByteNanos, long firstTokenNanos, LongSupplier betweenNanos) {
        static final NodeThroughput AT_ONCE = new NodeThroughput(0, 0, () -> 0);
    }

    /** How an answer ends. */
    public enum How {
        WHOLE,
        /** The connection stays open, and silent. */
        STALL,
        /** The connection is closed (FIN), in mid-response. */
        CLOSE,
        /** The connection is reset (RST), in mid-response. */
        RESET,
        /** The response ends cleanly, without finish reason and end mark. */
        NO_END_MARK,
        /** The server's own error event, and its further data. */
        ERROR
    }

    /**
     * Where an answer ends.
     *
     * @param tokens the number of tokens before the end; {@link #BEFORE_RESPONSE} for no byte at all
     * @param whenNextIsDue true to end when the next token is due; false to end with the last token
     */
    public record Ending(How how, int tokens, boolean whenNextIsDue, String message) {
        static final int BEFORE_RESPONSE = -1;
        static final int ALL = Integer.MAX_VALUE;
        static final Ending WHOLE = new Ending(How.WHOLE, ALL, false, "");
    }

    /** Returns an answer with these tokens at once. */
    public static Answer of(String... tokens) {
        return tokens(List.of(tokens));
    }

    public static Answer tokens(List<String> tokens) {
        return with(new Content.Text(List.of(), tokens, "stop", OptionalInt.empty()));
    }

    /** Returns an answer with this number of ASCII words, always the same. */
    public static Answer tokens(int count) {
        return tokens(Words.ascii(count));
    }

    /**
     * Returns an answer with this number of tokens. They have multi-byte characters, emoji and characters that JSON
     * must escape; always the same.
     */
    public static Answer unicode(int count) {
        return tokens(Words.unicode(count));
    }

    /** Returns the error document that the simulated server sends with this status. */
    public static Answer refuse(int status, String message) {
        return with(new Content.Refusal(status, message));
    }

    /** Returns this JSON document with any status. */
    public static Answer document(int status, String json) {
        return with(new Content.Document(status, "", json));
    }

    /** Returns the same answer with this JSON document in place of the text. */
    Answer instead(String json) {
        return content(new Content.Document(200, "", json));
    }

    static Answer page(Listings.Page page) {
        return with(new Content.Document(page.status(), page.contentType(), page.body()));
    }

    /**
     * Returns these bytes unchanged. The connection is closed after them if a header requires it, or if the bytes do
     * not determine the end of the body. {@link #stalling}, {@link #closing} and {@link #resetting} override that.
     */
    public static Answer raw(byte[] wholeHttpResponse) {
        return with(new Content.Raw(Buffer.buffer(wholeHttpResponse)));
    }

    private static Answer with(Content content) {
        return new Answer(content, NodeThroughput.AT_ONCE, Ending.WHOLE, Pieces.WHOLE, List.of());
    }

    /* The content. */

    public Answer reasoning(String... tokens) {
        return reasoning(List.of(tokens));
    }

    public Answer reasoning(List<String> tokens) {
        Content.Text text = text();
        return content(new Content.Text(tokens, text.tokens(), text.finishReason(), text.promptTokens()));
    }

    public Answer finishReason(String reason) {
        Content.Text text = text();
        return content(new Content.Text(text.reasoning(), text.tokens(), reason, text.promptTokens()));
    }

    /** Sets the number. By default it is one token in about four characters. */
    public Answer promptTokens(int count) {
        Content.Text text = text();
        return content(new Content.Text(text.reasoning(), text.tokens(), text.finishReason(), OptionalInt.of(count)));
    }

    /** Adds a header, unless the answer is raw. */
    public Answer header(String name, String value) {
        List<String> more = new ArrayList<>(headers);
        more.add(name + ": " + value);
        return new Answer(content, pace, ending, pieces, more);
    }

    /* The times. */

    public Answer firstByteAfter(Duration delay) {
        return pace(new NodeThroughput(delay.toNanos(), pace.firstTokenNanos(), pace.betweenNanos()));
    }

    public Answer firstTokenAfter(Duration delay) {
        return pace(new NodeThroughput(pace.firstByteNanos(), delay.toNanos(), pace.betweenNanos()));
    }

    /** Sets a fixed rate: a late token does not delay the next. */
    public Answer every(Duration delay) {
        long nanos = delay.toNanos();
        return everyNanos(() -> nanos);
    }

    public Answer everyNanos(LongSupplier nanos) {
        return pace(new NodeThroughput(pace.firstByteNanos(), pace.firstTokenNanos(), nanos));
    }

    /* The end. */

    /** Sends no byte, for ever. */
    public Answer stallBeforeResponse() {
        return ending(How.STALL, Ending.BEFORE_RESPONSE, false);
    }

    public Answer stallAfter(int tokens) {
        return ending(How.STALL, tokens, false);
    }

    public Answer closeBeforeResponse() {
        return ending(How.CLOSE, Ending.BEFORE_RESPONSE, false);
    }

    /** Closes when this token, counted from 1, is due. */
    public Answer closeBefore(int token) {
        return ending(How.CLOSE, token - 1, true);
    }

    public Answer closeAfter(int tokens) {
        return ending(How.CLOSE, tokens, false);
    }

    public Answer resetBeforeResponse() {
        return ending(How.RESET, Ending.BEFORE_RESPONSE, false);
    }

    /** Resets when this token, counted from 1, is due. */
    public Answer resetBefore(int token) {
        return ending(How.RESET, token - 1, true);
    }

    public Answer resetAfter(int tokens) {
        return ending(How.RESET, tokens, false);
    }

    /** Sends all tokens, and then ends cleanly without finish reason, {@code [DONE]} or {@code "done":true}. */
    public Answer withoutEndMark() {
        return ending(How.NO_END_MARK, Ending.ALL, false);
    }

    public Answer withoutEndMarkAfter(int tokens) {
        return ending(How.NO_END_MARK, tokens, false);
    }

    /** Sends the error event of a server whose engine was killed. */
    public Answer failAfter(int tokens) {
        return failAfter(tokens, "");
    }

    public Answer failAfter(int tokens, String message) {
        return new Answer(content, pace, new Ending(How.ERROR, tokens, false, message), pieces, headers);
    }

    /** Sends everything, and then is silent. */
    public Answer stalling() {
        return stallAfter(Ending.ALL);
    }

    /** Sends everything but the end, and then FIN. */
    public Answer closing() {
        return closeAfter(Ending.ALL);
    }

    /** Sends everything but the end, and then RST. */
    public Answer resetting() {
        return resetAfter(Ending.ALL);
    }

    /* The pieces. */

    /** Cuts the response at these places, counted from the first byte of the status line. */
    public Answer splitAt(int... positions) {
        return new Answer(content, pace, ending, Pieces.at(positions), headers);
    }

    public Answer everyByteAlone() {
        return piecesOf(1);
    }

    public Answer piecesOf(int bytes) {
        return new Answer(content, pace, ending, Pieces.of(bytes), headers);
    }

    /** Makes sure that the peer sees each piece alone. Without it, the peer may read several pieces at once. */
    public Answer pauseBetweenPieces(Duration pause) {
        return new Answer(content, pace, ending, pieces.pausing(pause), headers);
    }

    /**
     * Returns the rest of this answer after a text, as a server gives it that continues the text. If the answer does not
     * begin with the text, it stays as it is.
     */
    public Answer after(String text) {
        if (text.isEmpty()
                || !(content instanceof Content.Text said)
                || !said.reasoning().isEmpty()
                || !joined().startsWith(text)) {
            return this;
        }
        List<String> rest = new ArrayList<>(said.tokens());
        int left = text.length();
        int dropped = 0;
        while (left > 0) {
            String token = rest.removeFirst();
            if (token.length() > left) {
                rest.addFirst(token.substring(left));
            } else {
                dropped++;
            }
            left -= token.length();
        }
        Answer after = content(new Content.Text(List.of(), rest, said.finishReason(), said.promptTokens()));
        boolean isCut = ending.tokens() > 0 && ending.tokens() != Ending.ALL;
        Ending cut = isCut
                ? new Ending(
                        ending.how(), Math.max(0, ending.tokens() - dropped), ending.whenNextIsDue(), ending.message())
                : ending;
        return new Answer(after.content, pace, cut, pieces, headers);
    }

    /** Returns the content, without reasoning. */
    public String joined() {
        return String.join("", text().tokens());
    }

    private Content.Text text() {
        if (content instanceof Content.Text text) {
            return text;
        }
        throw new IllegalStateException("this answer has no tokens");
    }

    private Answer content(Content other) {
        return new Answer(other, pace, ending, pieces, headers);
    }

    private Answer pace(NodeThroughput other) {
        return new Answer(content, other, ending, pieces, headers);
    }

    private Answer ending(How how, int tokens, boolean whenNextIsDue) {
        return new Answer(content, pace, new Ending(how, tokens, whenNextIsDue, ""), pieces, headers);
    }
}
