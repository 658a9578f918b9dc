package dev.penstock.cli.view;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.EventListener;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;
import java.util.HashMap;
import java.util.Map;

/**
 * Prints the text of an answer's first choice as it arrives. When another attempt takes over, it prints a note, and
 * then the new attempt's text from the start.
 */
public final class TextPrinter implements EventListener {
    private final Terminal terminal;
    /** The valid text so far, which is already printed. */
    private final StringBuilder text = new StringBuilder();

    private final Map<Place, Integer> ends = new HashMap<>();
    private boolean lineIsOpen;

    public TextPrinter(Terminal terminal) {
        this.terminal = terminal;
    }

    private record Place(int attempt, long seq) {}

    @Override
    public void on(ValidEvent event) throws Problem {
        switch (event.mark().kind()) {
            case STARTED -> started(event);
            case CHUNK -> append(piece(event.document()));
            case COMPLETED -> completed(event.document());
            case FAILED, CANCELLED, EXPIRED, REJECTED -> endLine();
        }
        ends.put(new Place(event.mark().attempt(), event.mark().seq()), text.length());
    }

    @Override
    public void note(String line) {
        terminal.note(line);
    }

    private void started(ValidEvent event) throws Problem {
        JsonNode job = event.document().path("job");
        JsonNode from = job.path("resumed_from");
        Place resumed =
                new Place(from.path("attempt").asInt(-1), from.path("seq").asLong(-1));
        int kept = ends.getOrDefault(resumed, 0);
        if (kept < text.length()) {
            startOver(
                    text.substring(0, kept),
                    "attempt %d took over at node %s: the text starts over"
                            .formatted(event.mark().attempt(), job.path("node").asText("?")));
        }
    }

    private void completed(JsonNode document) throws Problem {
        JsonNode choice = document.path("choices").path(0);
        JsonNode whole = choice.has("message") ? choice.path("message").path("content") : choice.path("text");
        if (whole.isTextual() && !document.path("job").path("truncated").asBoolean()) {
            String answer = whole.textValue();
            if (!answer.startsWith(text.toString())) {
                startOver("", "the answer differs from the text so far: it starts over");
            }
            append(answer.substring(text.length()));
        }
        append(ScoreLines.of(document));
        if (text.isEmpty()) {
            terminal.note("the answer holds no text: --json shows what it holds");
        }
        endLine();
    }

    private static String piece(JsonNode chunk) {
        StringBuilder piece = new StringBuilder();
        for (JsonNode choice : chunk.path("choices")) {
            if (choice.path("index").asInt(0) == 0) {
                JsonNode content = choice.has("delta") ? choice.path("delta").path("content") : choice.path("text");
                piece.append(content.isTextual() ? content.textValue() : "");
            }
        }
        return piece.toString();
    }

    private void startOver(String prefix, String why) throws Problem {
        endLine();
        terminal.note(why);
        text.setLength(0);
        append(prefix);
    }

    private void append(String piece) throws Problem {
        if (!piece.isEmpty()) {
            text.append(piece);
            lineIsOpen = !piece.endsWith("\n");
            terminal.text(piece);
        }
    }

    private void endLine() throws Problem {
        if (lineIsOpen) {
            lineIsOpen = false;
            terminal.text("\n");
        }
    }
}
