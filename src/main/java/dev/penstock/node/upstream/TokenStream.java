package dev.penstock.node.upstream;

import dev.penstock.job.TokenEvent;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One answer as it is generated. The thread of its run reads it. It always ends with {@link TokenEvent.End} or {@link
 * TokenEvent.Broken}. Closing it before that stops the generation.
 */
public interface TokenStream extends AutoCloseable {
    /** Returns the fields of the job that the backend has no equivalent for. */
    List<String> ignoredParameters();

    /**
     * Returns the next event.
     *
     * @param nanos how long to wait for it
     * @return null if the time ran out, or {@link #wake} was called
     */
    @Nullable
    TokenEvent next(long nanos) throws InterruptedException;

    /** Ends a {@link #next} that waits; from any thread. */
    void wake();

    /** Ends the stream and the generation. */
    @Override
    void close();
}
