package dev.penstock.testkit.upstream;

import io.vertx.core.buffer.Buffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.LongSupplier;

/**
 * What a {@link FakeUpstream} answers: what it says, at which pace, where it breaks off, and in which pieces its bytes
 * leave. Every method gives a new answer.
 *
 * <p>Tokens are counted with the reasoning tokens, which come first. A server that sends its headers with the first
 * token (llama-server, Ollama) has sent nothing at all when it breaks off before that, and an answer that is not
 * streamed is sent whole at the end or not at all.
 */
public record Answer(Content content, Pace pace, Ending ending, Pieces pieces, List<String> headers) {
    public Answer {
        headers = List.copyOf(headers);
    }

    /** What is said. */
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

        /** The error document of the server that is played. */
        record Refusal(int status, String message) implements Content {}

        /**
         * A response with a body as it is given.
         *
         * @param contentType empty: JSON, as the server that is played names it
         */
        record Document(int status, String contentType, String body) implements Content {}

        /** A whole response as it is given: status line, headers, and a body with its framing. */
        record Raw(Buffer bytes) implements Content {}
    }

    /**
     * When it is said.
     *
     * @param firstByteNanos from the request to the headers, where the server sends them before the first token
     * @param firstTokenNanos from there to the first token
     * @param betweenNanos from token to token; asked on the event loop
     */
    public record Pace(long firstByteNanos, long firstTokenNanos, LongSupplier betweenNanos) {
        static final Pace AT_ONCE = new Pace(0, 0, () -> 0);
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
        /** The server's own error event, and what it sends after that. */
        ERROR
    }

    /**
     * Where an answer ends.
     *
     * @param tokens after how many; {@link #BEFORE_RESPONSE}: without a single byte
     * @param whenNextIsDue only when the next token would be due; otherwise with the last one
     */
    public record Ending(How how, int tokens, boolean whenNextIsDue, String message) {
        static final int BEFORE_RESPONSE = -1;
        static final int ALL = Integer.MAX_VALUE;
        static final Ending WHOLE = new Ending(How.WHOLE, ALL, false, "");
    }

    /** These tokens at once. */
    public static Answer of(String... tokens) {
        return tokens(List.of(tokens));
    }

    public static Answer tokens(List<String> tokens) {
        return with(new Content.Text(List.of(), tokens, "stop", OptionalInt.empty()));
    }

    /** So many ASCII words, always the same. */
    public static Answer tokens(int count) {
        return tokens(Words.ascii(count));
    }

    /** So many tokens with multi-byte characters, emoji and what JSON must escape; always the same. */
    public static Answer unicode(int count) {
        return tokens(Words.unicode(count));
    }

    /** The error document that the server which is asked would send with this status. */
    public static Answer refuse(int status, String message) {
        return with(new Content.Refusal(status, message));
    }

    /** This JSON document with any status. */
    public static Answer document(int status, String json) {
        return with(new Content.Document(status, "", json));
    }

    /** The same with this JSON document in the place of the text. */
    Answer instead(String json) {
        return content(new Content.Document(200, "", json));
    }

    static Answer page(Listings.Page page) {
        return with(new Content.Document(page.status(), page.contentType(), page.body()));
    }

    /**
     * These bytes as they are. Afterwards the connection is closed, if the bytes say so in a header or do not say where
     * the body ends; {@link #stalling}, {@link #closing} and {@link #resetting} say otherwise.
     */
    public static Answer raw(byte[] wholeHttpResponse) {
        return with(new Content.Raw(Buffer.buffer(wholeHttpResponse)));
    }

    private static Answer with(Content content) {
        return new Answer(content, Pace.AT_ONCE, Ending.WHOLE, Pieces.WHOLE, List.of());
    }

    /* What. */

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

    /** Instead of about one token in four characters. */
    public Answer promptTokens(int count) {
        Content.Text text = text();
        return content(new Content.Text(text.reasoning(), text.tokens(), text.finishReason(), OptionalInt.of(count)));
    }

    /** A further header, unless the answer is raw. */
    public Answer header(String name, String value) {
        List<String> more = new ArrayList<>(headers);
        more.add(name + ": " + value);
        return new Answer(content, pace, ending, pieces, more);
    }

    /* When. */

    public Answer firstByteAfter(Duration delay) {
        return pace(new Pace(delay.toNanos(), pace.firstTokenNanos(), pace.betweenNanos()));
    }

    public Answer firstTokenAfter(Duration delay) {
        return pace(new Pace(pace.firstByteNanos(), delay.toNanos(), pace.betweenNanos()));
    }

    /** A fixed rate: a token that is late does not delay the next. */
    public Answer every(Duration delay) {
        long nanos = delay.toNanos();
        return everyNanos(() -> nanos);
    }

    public Answer everyNanos(LongSupplier nanos) {
        return pace(new Pace(pace.firstByteNanos(), pace.firstTokenNanos(), nanos));
    }

    /* Where it breaks off. */

    /** No byte, for ever. */
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

    /** All tokens, and then a clean end without finish reason, {@code [DONE]} or {@code "done":true}. */
    public Answer withoutEndMark() {
        return ending(How.NO_END_MARK, Ending.ALL, false);
    }

    public Answer withoutEndMarkAfter(int tokens) {
        return ending(How.NO_END_MARK, tokens, false);
    }

    /** The error event that the server was seen to send when its engine was killed. */
    public Answer failAfter(int tokens) {
        return failAfter(tokens, "");
    }

    public Answer failAfter(int tokens, String message) {
        return new Answer(content, pace, new Ending(How.ERROR, tokens, false, message), pieces, headers);
    }

    /** All that there is, and then silence. */
    public Answer stalling() {
        return stallAfter(Ending.ALL);
    }

    /** All that there is but the end, and then FIN. */
    public Answer closing() {
        return closeAfter(Ending.ALL);
    }

    /** All that there is but the end, and then RST. */
    public Answer resetting() {
        return resetAfter(Ending.ALL);
    }

    /* In which pieces. */

    /** Cuts the response, counted from the first byte of the status line, at these places. */
    public Answer splitAt(int... positions) {
        return new Answer(content, pace, ending, Pieces.at(positions), headers);
    }

    public Answer everyByteAlone() {
        return piecesOf(1);
    }

    public Answer piecesOf(int bytes) {
        return new Answer(content, pace, ending, Pieces.of(bytes), headers);
    }

    /** So that the peer sees each piece alone for certain. Without it, it may still read several at once. */
    public Answer pauseBetweenPieces(Duration pause) {
        return new Answer(content, pace, ending, pieces.pausing(pause), headers);
    }

    /** The content, without reasoning. */
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

    private Answer pace(Pace other) {
        return new Answer(content, other, ending, pieces, headers);
    }

    private Answer ending(How how, int tokens, boolean whenNextIsDue) {
        return new Answer(content, pace, new Ending(how, tokens, whenNextIsDue, ""), pieces, headers);
    }
}
