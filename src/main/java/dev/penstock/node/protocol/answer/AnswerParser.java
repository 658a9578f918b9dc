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

    /** Returns the parser's name for error messages. */
    default String name() {
        return getClass().getSimpleName();
    }

    /** Handles a failure that the server reports as text. */
    default void failed(String words, Consumer<TokenEvent> events) {
        events.accept(new TokenEvent.Broken(ServerErrors.failure(words)));
    }

    /** Handles the end of a response; called once for each request. */
    default void end(Consumer<TokenEvent> events) {}

    /**
     * Returns whether {@link #end} parses a whole document. The thread of the run must do this work, and not an event
     * loop.
     */
    default boolean readsAtEnd() {
        return false;
    }
}
