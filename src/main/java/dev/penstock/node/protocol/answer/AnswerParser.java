package dev.penstock.node.protocol.answer;

import dev.penstock.job.TokenEvent;
import java.util.function.Consumer;

/** Parses one answer. Not thread-safe. */
public interface AnswerParser {
    /** Turns a line into events. After {@link TokenEvent.End} or {@link TokenEvent.Broken} it ignores all lines. */
    void line(String line, Consumer<TokenEvent> events);

    /**
     * Returns a cutter that cuts a body's bytes into the lines for {@link #line}.
     *
     * @param longest the longest line, in bytes
     */
    Cutter cutter(int longest, Consumer<TokenEvent> events);

    /** Returns the parser's name in errors. */
    default String name() {
        return getClass().getSimpleName();
    }

    /** The server reports a failure as text. */
    default void failed(String words, Consumer<TokenEvent> events) {
        events.accept(new TokenEvent.Broken(ServerErrors.failure(words)));
    }

    /** A response has ended; called once for each request. */
    default void end(Consumer<TokenEvent> events) {}

    /**
     * Returns whether {@link #end} parses a whole document. That is work for the thread of the run, not for an
     * event loop.
     */
    default boolean readsAtEnd() {
        return false;
    }
}
