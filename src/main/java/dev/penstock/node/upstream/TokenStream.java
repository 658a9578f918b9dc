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
     * Returns the next event. The wait for several pieces at once saves the thread of the run from being woken for each
     * of them. A stream may return the event earlier.
     *
     * @param nanos the longest wait
     * @param chars how many characters of the answer are worth the return; 0 to return the next event at once. The last
     *     event and {@link #wake} end the wait in any case
     * @return the event; null if the time is over and there is none, or {@link #wake} was called
     */
    @Nullable
    TokenEvent next(long nanos, int chars) throws InterruptedException;

    /** Ends a waiting call of {@link #next}. Any thread may call this method. */
    void wake();

    /** Ends the stream and the generation. */
    @Override
    void close();
}
