package dev.penstock.cli.doctor;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.cli.job.Problem;
import dev.penstock.wire.Json;

/**
 * One result of {@code penstock doctor}.
 *
 * @param what the subject of the check
 * @param wayOut the user's next step; empty if nothing needs to be done
 */
record Finding(Level level, String what, String detail, String wayOut) {
    /** The severity of a finding. */
    enum Level {
        OK("ok"),
        WARN("warn"),
        FAIL("FAIL");

        private final String word;

        Level(String word) {
            this.word = word;
        }
    }

    static Finding ok(String what, String detail) {
        return new Finding(Level.OK, what, detail, "");
    }

    static Finding warn(String what, String detail, String wayOut) {
        return new Finding(Level.WARN, what, detail, wayOut);
    }

    static Finding fail(String what, String detail, String wayOut) {
        return new Finding(Level.FAIL, what, detail, wayOut);
    }

    /**
     * Returns a problem's line without its advice in brackets. A finding shows the advice separately, as its way out.
     */
    static String withoutAdvice(Problem problem) {
        return problem.line().replaceFirst(" \\((?:start it with|--kafka sets).*\\)$", "");
    }

    /** Returns the finding as one line, with at least two spaces between its parts. */
    String line() {
        return "%-4s  %-22s  %s%s"
                .formatted(level.word, what, onOneLine(detail), wayOut.isEmpty() ? "" : "  - " + onOneLine(wayOut));
    }

    private static String onOneLine(String text) {
        return text.strip().replaceAll("\\s+", " ");
    }

    ObjectNode json() {
        return Json.mapper()
                .createObjectNode()
                .put("level", level.word)
                .put("what", what)
                .put("detail", detail)
                .put("way_out", wayOut.isEmpty() ? null : wayOut);
    }
}
