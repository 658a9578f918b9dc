package dev.penstock.execution;

import dev.penstock.job.Answer;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The text of a job's answer, from all its attempts, and what it cost. It is the only copy: the text of a chunk that
 * was sent is kept nowhere else. Not thread-safe: the thread of the run owns it.
 */
final class Transcript {
    /** The seq of an attempt's first chunk: only {@code started} comes before it. */
    private static final long FIRST_CHUNK = 1;

    private final boolean mayContinue;
    private Answer.Builder answer = new Answer.Builder();
    /** Whether the answer so far is only plain text of one choice, and has not ended. */
    private boolean plain = true;

    private int chars;
    private int publishedChars;
    private char lastChar;
    /** The parts of the text that earlier attempts wrote. */
    private List<PublishedText.Segment> earlier = List.of();

    private PublishedText.@Nullable Place lastChunk;
    /** What the node of the text's first attempt reported. */
    private Usage first = Usage.NONE;
    /** What the nodes of all earlier attempts counted. */
    private Usage before = Usage.NONE;

    /* The current attempt. */
    private String node = "";
    private String model = "";
    private int attempt;
    private Usage reported = Usage.NONE;
    private long pieces;
    private long publishedPieces;

    /** @param mayContinue whether the text of the job can be continued at all */
    Transcript(boolean mayContinue) {
        this.mayContinue = mayContinue;
    }

    /**
     * Takes the text that earlier runs published.
     *
     * @param goesOn whether an attempt may continue the text
     */
    void recover(PublishedText published, boolean goesOn) {
        before = new Usage(0, published.tokens());
        keep(published);
        plain = goesOn;
    }

    /**
     * Begins an attempt.
     *
     * @param continued the published text that the attempt continues; null if its answer begins with nothing
     */
    void begin(String atNode, String withModel, int number, @Nullable PublishedText continued) {
        before = before.plus(here());
        if (continued == null) {
            startOver();
        } else {
            first = earlier.isEmpty() ? reported : first;
            keep(continued);
        }
        node = atNode;
        model = withModel;
        attempt = number;
    }

    /** Notes that another node gives the answer of the current attempt. The first one has sent no text. */
    void movedTo(String otherNode, String withModel) {
        before = before.plus(here());
        startOver();
        node = otherNode;
        model = withModel;
    }

    /** Notes that no attempt continues the answer so far. */
    void end() {
        plain = false;
    }

    /** Drops the answer. */
    void startOver() {
        first = Usage.NONE;
        earlier = List.of();
        lastChunk = null;
        clear();
    }

    private void clear() {
        answer = new Answer.Builder();
        plain = true;
        chars = 0;
        publishedChars = 0;
        lastChar = 0;
        reported = Usage.NONE;
        pieces = 0;
        publishedPieces = 0;
    }

    private void keep(PublishedText published) {
        clear();
        earlier = published.segments();
        lastChunk = published.last();
        answer.add(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, published.text()));
        chars = published.text().length();
        publishedChars = chars;
        lastChar = published.text().charAt(chars - 1);
    }

    void add(TokenEvent event) {
        answer.add(event);
        switch (event) {
            case TokenEvent.Text(int choice, TokenEvent.Field field, String text) -> {
                plain &= choice == 0 && field == TokenEvent.Field.CONTENT;
                chars += text.length();
                lastChar = text.isEmpty() ? lastChar : text.charAt(text.length() - 1);
                pieces++;
            }
            case TokenEvent.ToolCall _,
                    TokenEvent.Thinking _,
                    TokenEvent.Logprobs _,
                    TokenEvent.Embedding _,
                    TokenEvent.Scored _,
                    TokenEvent.Finish _ -> plain = false;
            case TokenEvent.Spent(Usage usage) -> reported = usage.after(reported);
            case TokenEvent.Role _, TokenEvent.Model _, TokenEvent.End _, TokenEvent.Broken _ -> {}
        }
    }

    /**
     * Marks all text so far as published.
     *
     * @param seq the seq of the last chunk
     */
    void published(long seq) {
        publishedChars = chars;
        publishedPieces = pieces;
        lastChunk = new PublishedText.Place(attempt, seq);
    }

    /** Returns whether the text so far could be continued by another attempt, once it is published. */
    boolean isContinuable() {
        return mayContinue && plain;
    }

    /** Returns whether another attempt could continue the text so far, once it is published. */
    boolean mayPause() {
        return isContinuable() && !Character.isHighSurrogate(lastChar);
    }

    /** Returns how many pieces of text the current attempt wrote. */
    long pieces() {
        return pieces;
    }

    /** Returns the tokens of the text so far. */
    long tokens() {
        return pieces
                + earlier.stream()
                        .mapToLong(PublishedText.Segment::completionTokens)
                        .sum();
    }

    /**
     * Returns the published text if another attempt can continue it instead of starting over. Returns empty if no text
     * is published, if the answer is more than one plain text, or if the published text ends inside a code point.
     */
    Optional<PublishedText> continuable() {
        PublishedText.Place last = lastChunk;
        if (!isContinuable() || publishedChars == 0 || last == null) {
            return Optional.empty();
        }
        Answer.Head any = new Answer.Head("", 0, "", Task.CHAT);
        String text = answer.build(any).choices().getFirst().text().getOrDefault(TokenEvent.Field.CONTENT, "");
        PublishedText published = new PublishedText(text.substring(0, publishedChars), last, segments(publishedPieces));
        return published.endsInsideCodePoint() ? Optional.empty() : Optional.of(published);
    }

    /** Returns which attempt wrote which part of the text; empty if one attempt wrote all of it. */
    List<PublishedText.Segment> segments() {
        List<PublishedText.Segment> segments = segments(pieces);
        return segments.size() > 1 ? segments : List.of();
    }

    private List<PublishedText.Segment> segments(long written) {
        List<PublishedText.Segment> segments = new ArrayList<>(earlier);
        if (written > 0) {
            long tokens = reported.completionTokens() > 0 ? reported.completionTokens() : written;
            segments.add(new PublishedText.Segment(node, model, attempt, FIRST_CHUNK, tokens));
        }
        return segments;
    }

    /** Returns the whole answer so far. */
    Answer answer(Answer.Head head) {
        return answer.build(head).with(usage());
    }

    /**
     * Returns the usage of the whole answer: the prompt of its first attempt, and all of its text. If the first node did
     * not report its prompt before it failed, the prompt is what the current node reports, without the text that its
     * request had in addition.
     */
    private Usage usage() {
        if (earlier.isEmpty()) {
            return reported;
        }
        long continued = earlier.stream()
                .mapToLong(PublishedText.Segment::completionTokens)
                .sum();
        Usage here = here();
        long prompt = first.promptTokens() > 0 ? first.promptTokens() : Math.max(0, here.promptTokens() - continued);
        return new Usage(
                prompt,
                continued + here.completionTokens(),
                Math.min(prompt, here.cachedTokens()),
                here.reasoningTokens());
    }

    /**
     * Returns the usage of the current attempt. A node that failed reports no tokens of its answer, so each piece of
     * text counts as one.
     */
    Usage here() {
        return reported.completionTokens() > 0
                ? reported
                : new Usage(reported.promptTokens(), pieces, reported.cachedTokens(), reported.reasoningTokens());
    }

    /** Returns the usage of all attempts together; null if only the current one had any. */
    @Nullable
    Usage allAttempts() {
        return before.equals(Usage.NONE) ? null : before.plus(here());
    }
}
