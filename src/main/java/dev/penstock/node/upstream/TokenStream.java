package dev.penstock.node.upstream;

import dev.penstock.job.TokenEvent;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The events of one answer, while it is generated. The thread of the run reads them. The last event is always {@link
 * TokenEvent.End} or {@link TokenEvent.Broken}. Closing the stream earlier stops the generation.
 */
public interface TokenStream extends AutoCloseable {
    /** Returns the fields of the job for which the backend has no equivalent. */
    List<String> ignoredParameters();

    /**
     * Returns the next event.
     *
     * @param nanos the longest wait for the event
     * @return the event; null if the time ran out, or {@link #wake} was called
     */
    @Nullable
    TokenEvent next(long nanos) throws InterruptedException;

    /** Ends a waiting call of {@link #next}. Any thread may call this method. */
    void wake();

    /** Ends the stream and the generation. */
    @Override
    void close();
}
