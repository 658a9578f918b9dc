package dev.penstock.node.upstream;

import dev.penstock.job.PublishedText;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The rest of an answer whose beginning is published already. It has exactly the text that follows the published text:
 *
 * <ul>
 *   <li>If the server repeats the published text, the repetition is left out.
 *   <li>The server applies the stop strings to the rest only. So this stream looks for a stop string that begins in the
 *       published text and ends in the rest, and ends the answer there.
 *   <li>The published chunks have the role already.
 * </ul>
 *
 * <p>Not thread-safe, except for {@link #wake}: the thread of the run reads it.
 */
public final class ContinuedStream implements TokenStream {
    /**
     * Longer than a token, in characters. If the first piece of an answer is equal to a text of this length, it is a
     * repetition, and not the model's next token.
     */
    private static final int LONGER_THAN_A_TOKEN = 32;

    private final TokenStream stream;
    private final String text;
    private final Deque<TokenEvent> ready = new ArrayDeque<>();
    /** The ends of the stop strings that begin at the end of the published text. */
    private List<String> ends;

    private final StringBuilder held = new StringBuilder();
    private boolean mayRepeat;
    private boolean over;

    public ContinuedStream(
            TokenStream stream, Prompt prompt, PublishedText published, WireProtocol.Continues continues) {
        this.stream = stream;
        text = published.text();
        mayRepeat = continues == WireProtocol.Continues.MAY_REPEAT;
        ends = ends(prompt.stops(), text);
    }

    private static List<String> ends(List<String> stops, String text) {
        List<String> ends = new ArrayList<>();
        for (String stop : stops) {
            for (int begun = 1; begun < stop.length(); begun++) {
                if (text.endsWith(stop.substring(0, begun))) {
                    ends.add(stop.substring(begun));
                }
            }
        }
        return ends;
    }

    @Override
    public List<String> ignoredParameters() {
        return stream.ignoredParameters();
    }

    @Override
    public @Nullable TokenEvent next(long nanos, int chars) throws InterruptedException {
        long start = System.nanoTime();
        while (ready.isEmpty()) {
            TokenEvent event = stream.next(Math.max(0, nanos - (System.nanoTime() - start)), chars);
            if (event == null) {
                return null;
            }
            pass(event);
        }
        return ready.poll();
    }

    private void pass(TokenEvent event) {
        switch (event) {
            case TokenEvent.Text(int choice, TokenEvent.Field field, String piece)
            when choice == 0 && field == TokenEvent.Field.CONTENT -> text(piece);
            case TokenEvent.Role _ -> {}
            case TokenEvent.Model _, TokenEvent.Spent _ -> ready.add(event);
            case TokenEvent.Text _,
                    TokenEvent.ToolCall _,
                    TokenEvent.Thinking _,
                    TokenEvent.Logprobs _,
                    TokenEvent.Embedding _,
                    TokenEvent.Scored _,
                    TokenEvent.Finish _,
                    TokenEvent.End _,
                    TokenEvent.Broken _ -> {
                if (!over) {
                    release();
                    ready.add(event);
                }
            }
        }
    }

    private void text(String piece) {
        if (over || piece.isEmpty()) {
            return;
        }
        held.append(mayRepeat ? withoutRepetition(piece) : piece);
        mayRepeat = false;
        String rest = held.toString();
        if (ends.stream().anyMatch(rest::startsWith)) {
            over = true;
            ready.add(new TokenEvent.Finish(0, "stop"));
            ready.add(new TokenEvent.End());
        } else if (ends.stream().noneMatch(end -> end.startsWith(rest))) {
            release();
        }
    }

    private String withoutRepetition(String piece) {
        boolean repeats =
                piece.startsWith(text) && (piece.length() > text.length() || piece.length() > LONGER_THAN_A_TOKEN);
        return repeats ? piece.substring(text.length()) : piece;
    }

    /** Passes the held text on. From now on, no stop string can begin in the published text. */
    private void release() {
        ends = List.of();
        if (!held.isEmpty()) {
            ready.add(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, held.toString()));
            held.setLength(0);
        }
    }

    @Override
    public void wake() {
        stream.wake();
    }

    @Override
    public void close() {
        stream.close();
    }
}
