package dev.penstock.node.upstream;

import dev.penstock.job.TokenEvent;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The rest of an answer whose published text has as many tokens as the job allows. The answer is complete, so the
 * server gets no request.
 */
public final class NothingLeft implements TokenStream {
    private final Deque<TokenEvent> events =
            new ArrayDeque<>(List.of(new TokenEvent.Finish(0, "length"), new TokenEvent.End()));

    @Override
    public List<String> ignoredParameters() {
        return List.of();
    }

    @Override
    public @Nullable TokenEvent next(long nanos, int chars) {
        return events.poll();
    }

    @Override
    public void wake() {}

    @Override
    public void close() {}
}
