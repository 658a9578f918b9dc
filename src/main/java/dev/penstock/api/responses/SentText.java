package dev.penstock.api.responses;

import dev.penstock.job.PublishedText;
import dev.penstock.job.TokenEvent;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a stream has sent of an answer. If a further attempt writes the answer again, the stream leaves out what it has
 * sent. If the attempt writes another text, the stream cannot go on. Not thread-safe: the thread of the stream owns it.
 */
final class SentText {
    private final List<Passage> passages = new ArrayList<>();
    private final Map<PublishedText.Place, Cursor> ends = new HashMap<>();
    private Cursor cursor = Cursor.START;

    /** The text of one field or one call, without another field or call in between. */
    private record Passage(
            TokenEvent.@Nullable Field field,
            int call,
            @Nullable String id,
            @Nullable String name,
            StringBuilder text) {
        boolean isOf(TokenEvent delta) {
            return switch (delta) {
                case TokenEvent.Text text -> text.field() == field;
                case TokenEvent.ToolCall piece ->
                    field == null
                            && piece.index() == call
                            && (piece.id() == null || piece.id().equals(id))
                            && (piece.name() == null || piece.name().equals(name));
                case TokenEvent.Finish _,
                        TokenEvent.Model _,
                        TokenEvent.Role _,
                        TokenEvent.Thinking _,
                        TokenEvent.Logprobs _,
                        TokenEvent.Embedding _,
                        TokenEvent.Scored _,
                        TokenEvent.Spent _,
                        TokenEvent.End _,
                        TokenEvent.Broken _ -> false;
            };
        }
    }

    /**
     * A place in the text.
     *
     * @param passage the index of the passage; −1 before the first one
     */
    private record Cursor(int passage, int offset) {
        static final Cursor START = new Cursor(-1, 0);
    }

    boolean isEmpty() {
        return passages.isEmpty();
    }

    /**
     * An attempt begins.
     *
     * @param from the chunk after which the attempt goes on; null if it starts over
     * @return false if the stream has not seen that chunk, so that it cannot go on
     */
    boolean restart(PublishedText.@Nullable Place from) {
        Cursor begin = from == null ? Cursor.START : ends.get(from);
        if (begin == null) {
            return false;
        }
        cursor = begin;
        return true;
    }

    /** Returns whether the current attempt has written everything that the stream has sent. */
    boolean isAtEnd() {
        return cursor.passage() == passages.size() - 1
                && (passages.isEmpty()
                        || cursor.offset() == passages.getLast().text().length());
    }

    /** The chunk at this place is read. */
    void endOf(PublishedText.Place chunk) {
        ends.put(chunk, cursor);
    }

    /**
     * Takes deltas of the current attempt.
     *
     * @return the deltas that are new to the stream; empty if they differ from what the stream has sent
     */
    Optional<List<TokenEvent>> add(List<TokenEvent> deltas) {
        List<TokenEvent> fresh = new ArrayList<>();
        for (TokenEvent delta : deltas) {
            switch (delta) {
                case TokenEvent.Text(int choice, TokenEvent.Field field, String text) -> {
                    int sent = text.isEmpty() ? 0 : sent(delta, text);
                    if (sent < 0) {
                        return Optional.empty();
                    }
                    if (sent < text.length()) {
                        fresh.add(new TokenEvent.Text(choice, field, text.substring(sent)));
                    }
                }
                case TokenEvent.ToolCall call -> {
                    int before = passages.size();
                    int sent = sent(delta, call.arguments());
                    if (sent < 0) {
                        return Optional.empty();
                    }
                    boolean begins = passages.size() > before;
                    if (begins || sent < call.arguments().length()) {
                        fresh.add(new TokenEvent.ToolCall(
                                call.choice(),
                                call.index(),
                                call.id(),
                                call.name(),
                                call.arguments().substring(sent)));
                    }
                }
                case TokenEvent.Logprobs _ -> {
                    if (isAtEnd()) {
                        fresh.add(delta);
                    }
                }
                case TokenEvent.Finish _,
                        TokenEvent.Model _,
                        TokenEvent.Role _,
                        TokenEvent.Thinking _,
                        TokenEvent.Embedding _,
                        TokenEvent.Scored _,
                        TokenEvent.Spent _,
                        TokenEvent.End _,
                        TokenEvent.Broken _ -> fresh.add(delta);
            }
        }
        return Optional.of(fresh);
    }

    /**
     * Moves the cursor over a text.
     *
     * @return how many characters of the text were sent before; −1 if another text was sent
     */
    private int sent(TokenEvent delta, String text) {
        int done = 0;
        while (true) {
            if (isAtEnd()) {
                append(delta, text.substring(done));
                return done;
            }
            Passage here = cursor.passage() < 0 ? null : passages.get(cursor.passage());
            if (here == null || cursor.offset() == here.text().length()) {
                if (here != null && done == text.length() && here.isOf(delta)) {
                    return done;
                }
                cursor = new Cursor(cursor.passage() + 1, 0);
                if (!passages.get(cursor.passage()).isOf(delta)) {
                    return -1;
                }
            } else {
                int same = Math.min(here.text().length() - cursor.offset(), text.length() - done);
                String known = here.text().substring(cursor.offset(), cursor.offset() + same);
                if (!here.isOf(delta) || !known.equals(text.substring(done, done + same))) {
                    return -1;
                }
                cursor = new Cursor(cursor.passage(), cursor.offset() + same);
                done += same;
            }
            if (done == text.length()) {
                return done;
            }
        }
    }

    private void append(TokenEvent delta, String text) {
        if (passages.isEmpty() || !passages.getLast().isOf(delta)) {
            passages.add(
                    delta instanceof TokenEvent.ToolCall call
                            ? new Passage(null, call.index(), call.id(), call.name(), new StringBuilder())
                            : new Passage(((TokenEvent.Text) delta).field(), -1, null, null, new StringBuilder()));
        }
        passages.getLast().text().append(text);
        cursor = new Cursor(passages.size() - 1, passages.getLast().text().length());
    }
}
