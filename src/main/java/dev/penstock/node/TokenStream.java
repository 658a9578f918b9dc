package dev.penstock.node;

import dev.penstock.job.TokenEvent;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One answer as it is generated, read by the thread of its run. It always ends with {@link TokenEvent.End} or {@link
 * TokenEvent.Broken}. Closing it before that is how what generates it is told to stop.
 */
public interface TokenStream extends AutoCloseable {
    /** Fields of the job that the backend has no equivalent for. */
    List<String> ignoredParameters();

    /**
     * The next event.
     *
     * @param nanos how long to wait for it
     * @return null when the time ran out, or when {@link #wake} was called
     */
    @Nullable
    TokenEvent next(long nanos) throws InterruptedException;

    /** Ends a {@link #next} that waits; from any thread. */
    void wake();

    /** Leaves; nothing is generated any more. */
    @Override
    void close();
}
