package dev.penstock.cli.view;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Locale;

/** Shows a ranking or scores: a line for each, with the score, the index, and the beginning of the document. */
public final class ScoreLines {
    private static final int LONGEST = 80;

    private ScoreLines() {}

    /**
     * Returns the lines; empty if the answer has no scores.
     *
     * @param answer a job's answer, or its outcome
     */
    public static String of(JsonNode answer) {
        StringBuilder lines = new StringBuilder();
        for (JsonNode result : answer.path("results")) {
            String line = result.path("document")
                    .path("text")
                    .asText("")
                    .lines()
                    .findFirst()
                    .orElse("");
            add(lines, result.path("relevance_score"), result, line);
        }
        for (JsonNode result : answer.path("data")) {
            if (result.path("score").isNumber()) {
                add(lines, result.path("score"), result, "");
            }
        }
        return lines.toString();
    }

    private static void add(StringBuilder lines, JsonNode score, JsonNode result, String document) {
        String shown = document.codePointCount(0, document.length()) > LONGEST
                ? document.substring(0, document.offsetByCodePoints(0, LONGEST)) + "…"
                : document;
        String line = String.format(
                Locale.ROOT,
                "%10.4f  %4d  %s",
                score.asDouble(),
                result.path("index").asInt(),
                shown);
        lines.append(line.stripTrailing()).append('\n');
    }
}
