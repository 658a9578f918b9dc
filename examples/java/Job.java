import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;

/**
 * What the valid events of one job add up to.
 *
 * <p>Which events count is decided by the reading rule (docs/wire/asyncapi.yaml), on headers alone: see
 * {@link ReadingRule}.
 */
final class Job {
    private static final Set<String> OUTCOMES = Set.of("completed", "failed", "cancelled", "expired");
    private static final int MARK_SIZE = 32;
    private static final JsonMapper JSON = new JsonMapper();

    private record Mark(Position at, int length) {}

    private final ReadingRule rule = new ReadingRule();
    private final StringBuilder text = new StringBuilder();
    /** For each valid event whose text is kept: the text's length after it. */
    private final Deque<Mark> marks = new ArrayDeque<>();
    /** Else none of the text is kept. */
    private boolean whole = true;

    private int events;

    CharSequence text() {
        return text;
    }

    /** How many were valid when they were read. */
    int events() {
        return events;
    }

    int attempt() {
        return Math.max(0, rule.attempt());
    }

    /** Characters in memory, roughly. */
    int size() {
        return text.length() + MARK_SIZE * marks.size();
    }

    /** Lets the text go. The outcome of a completed job has all of it. */
    void forget() {
        whole = false;
        text.setLength(0);
        text.trimToSize();
        marks.clear();
    }

    /** Takes an event in; returns its document, or nothing where the event is void. */
    Optional<JsonNode> read(Event event, byte[] value) {
        Verdict verdict = rule.judge(event.name(), event.at().attempt(), event.run());
        if (verdict == Verdict.VOID) {
            return Optional.empty();
        }
        JsonNode document = json(value);
        events++;
        if (event.name().equals("started") && verdict == Verdict.TAKES_OVER) {
            keep(document.path("job").path("resumed_from"));
        } else if (event.name().equals("chunk") && whole) {
            text.append(textOf(document));
        }
        if (whole) {
            marks.addLast(new Mark(event.at(), text.length()));
        }
        return Optional.of(document);
    }

    /** A new attempt voids the text so far, but for what it goes on from. */
    private void keep(JsonNode resumedFrom) {
        var last = new Position(
                resumedFrom.path("attempt").asInt(-1),
                resumedFrom.path("seq").asInt(-1));
        while (!marks.isEmpty() && marks.getLast().at().after(last)) {
            marks.removeLast();
        }
        text.setLength(marks.isEmpty() ? 0 : marks.getLast().length());
        if (!resumedFrom.isObject()) {
            whole = true;
        } else if (marks.isEmpty() || !marks.getLast().at().equals(last)) {
            forget(); // what it goes on from was not read
        }
    }

    static JsonNode json(byte[] value) {
        try {
            return JSON.readTree(value);
        } catch (IOException e) {
            throw new UncheckedIOException("an event's value is not JSON", e);
        }
    }

    /** The text of choice 0, from a chunk or a whole answer, from a chat or a completion. */
    static String textOf(JsonNode document) {
        var found = new StringBuilder();
        for (JsonNode choice : document.path("choices")) {
            if (choice.path("index").asInt(0) == 0) {
                found.append(choice.path("delta").path("content").asText(""))
                        .append(choice.path("message").path("content").asText(""))
                        .append(choice.path("text").asText(""));
            }
        }
        return found.toString();
    }

    enum Verdict {
        VOID,
        VALID,
        TAKES_OVER
    }

    /** Which events of one job count. It is shown all of them, in their partition's order. */
    static final class ReadingRule {
        private int attempt = -1;
        private String run = "";
        private boolean closed;

        Verdict judge(String event, int eventAttempt, String eventRun) {
            if (closed || event.equals("rejected")) {
                return Verdict.VOID;
            }
            boolean outcome = OUTCOMES.contains(event);
            boolean takesOver = eventAttempt > attempt && (outcome || event.equals("started"));
            if (!takesOver && !(eventAttempt == attempt && eventRun.equals(run))) {
                return Verdict.VOID;
            }
            attempt = eventAttempt;
            run = eventRun;
            closed = outcome;
            return takesOver ? Verdict.TAKES_OVER : Verdict.VALID;
        }

        int attempt() {
            return attempt;
        }
    }

    /** Where an event stands in its job. */
    record Position(int attempt, int seq) {
        boolean after(Position other) {
            return attempt > other.attempt || (attempt == other.attempt && seq > other.seq);
        }
    }

    /** What the headers of a record say. */
    record Event(String id, String name, Position at, String run) {
        private static final Pattern NUMBER = Pattern.compile("[0-9]{1,9}");

        static Optional<Event> of(Headers headers) {
            var id = text(headers, "job-id");
            var name = text(headers, "event");
            var attempt = number(headers, "attempt");
            var seq = number(headers, "seq");
            var run = text(headers, "run");
            if (id.isEmpty() || name.isEmpty() || attempt.isEmpty() || seq.isEmpty() || run.isEmpty()) {
                return Optional.empty();
            }
            return Optional.of(new Event(id.get(), name.get(), new Position(attempt.get(), seq.get()), run.get()));
        }

        boolean outcome() {
            return OUTCOMES.contains(name);
        }

        boolean rejection() {
            return name.equals("rejected");
        }

        /** A rejection is shown only for the one job that is waited for: it has no other record. */
        boolean last() {
            return outcome() || rejection();
        }

        private static Optional<String> text(Headers headers, String name) {
            return Optional.ofNullable(headers.lastHeader(name))
                    .map(Header::value)
                    .map(value -> new String(value, StandardCharsets.UTF_8));
        }

        private static Optional<Integer> number(Headers headers, String name) {
            return text(headers, name)
                    .filter(text -> NUMBER.matcher(text).matches())
                    .map(Integer::valueOf);
        }
    }
}
