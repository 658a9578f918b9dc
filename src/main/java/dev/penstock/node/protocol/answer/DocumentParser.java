package dev.penstock.node.protocol.answer;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.util.List;
import java.util.function.Consumer;

/**
 * Parses answers that are one whole JSON object each. A job with several requests has several such answers, one after
 * the other, and one parser for all of them.
 */
public abstract class DocumentParser implements AnswerParser {
    /** The limit for one document, because its text and its values are in memory together. */
    private static final int MOST_CHARS = 64 * 1024 * 1024;

    private static final int OPENING = 1000;

    private final StringBuilder document = new StringBuilder();
    private final ReportedModel model = new ReportedModel();
    private boolean broken;

    @Override
    public final Cutter cutter(int longest, Consumer<TokenEvent> events) {
        return new LineSplitter(longest, line -> line(line, events));
    }

    @Override
    public final void line(String line, Consumer<TokenEvent> events) {
        if (broken) {
            return;
        }
        if (document.length() + line.length() > MOST_CHARS) {
            document.setLength(0);
            stop(events, JobFailure.Code.STREAM_BROKEN, "sent a document of more than " + MOST_CHARS + " characters");
            return;
        }
        document.append(line);
    }

    @Override
    public final boolean readsAtEnd() {
        return true;
    }

    @Override
    public final void end(Consumer<TokenEvent> events) {
        if (broken) {
            return;
        }
        JsonNode json = Json.parseVectors(document.toString());
        String opening = ServerErrors.shorten(document.substring(0, Math.min(document.length(), OPENING)));
        document.setLength(0);
        if (json == null || !json.isObject()) {
            stop(events, JobFailure.Code.STREAM_BROKEN, "sent what is no JSON object: " + opening);
            return;
        }
        if (ServerErrors.isError(json)) {
            stop(events, ServerErrors.midStream(json), ServerErrors.failing(json, false));
            return;
        }
        try {
            Results results = results(json);
            model.report(json.path("model"), events);
            results.events().forEach(events);
            events.accept(new TokenEvent.Spent(results.spent()));
            events.accept(new TokenEvent.End());
        } catch (Unusable e) {
            stop(events, JobFailure.Code.STREAM_BROKEN, String.valueOf(e.getMessage()));
        }
    }

    /**
     * The results in one document.
     *
     * @param spent the usage of all documents so far
     */
    protected record Results(List<TokenEvent> events, Usage spent) {
        public Results {
            events = List.copyOf(events);
        }
    }

    /** Returns the results in a document that reports no failure. */
    protected abstract Results results(JsonNode json) throws Unusable;

    private void stop(Consumer<TokenEvent> events, JobFailure.Code code, String message) {
        broken = true;
        events.accept(new TokenEvent.Broken(JobFailure.of(code, message)));
    }

    /** Returns a value in words for a message. */
    protected static String shown(JsonNode value) {
        return value.isMissingNode() ? "none" : ServerErrors.shorten(value.toString());
    }

    /** The reason why a document is unusable. */
    protected static final class Unusable extends Exception {
        public Unusable(String message) {
            super(message);
        }
    }
}
