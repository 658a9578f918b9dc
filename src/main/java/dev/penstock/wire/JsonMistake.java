package dev.penstock.wire;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.io.JsonEOFException;
import java.util.List;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What is wrong with a text that is not JSON, in plain words with line and column. This is the only place that reads the
 * parser's own message: it has class names and advice about the parser in it, and no caller can use either.
 */
final class JsonMistake {
    private static final int LONGEST = 40;

    private record Kind(Pattern said, Function<Matcher, String> words) {}

    /** The first that fits what the parser said. */
    private static final List<Kind> KINDS = List.of(
            kind("Duplicate field '(.*)'", found -> "the field '%s' is there twice".formatted(shown(found.group(1)))),
            kind("nesting depth .*", _ -> "it is nested deeper than %d levels".formatted(Json.MAX_NESTING)),
            kind("(?:Number|Name) .*length.*", _ -> "a number or the name of a field is too long"),
            kind("Trailing token .*", _ -> "something follows the end of the value"),
            kind("(?s)Unexpected end-of-input.*", _ -> "it ends before the value is complete"),
            kind(
                    "Unexpected close marker '(.)': expected '(.)'.*",
                    found -> "expected '%s', got '%s'".formatted(found.group(2), found.group(1))),
            kind("(?s)Unexpected close marker '(.)'.*", found -> "'%s' closes nothing".formatted(found.group(1))),
            kind("(?s)Illegal character.*", _ -> "unexpected control character"),
            kind(
                    "(?s)Illegal unquoted character.*",
                    _ -> "a string has a line break or another control character that is not escaped"),
            kind(
                    "(?s)Unrecognized character escape '?(.*?)'? \\(code.*",
                    found -> "'\\%s' is not an escape of JSON".formatted(shown(found.group(1)))),
            kind("(?s)Unexpected character \\('(.+?)' \\(code.*in numeric value.*", found -> "a number is malformed"),
            kind("(?s)(?:Invalid numeric value|Leading zero).*", _ -> "a number is malformed"),
            kind("(?s)Unexpected character \\('(.+?)' \\(code.*hex-digit.*", _ -> "\\u needs four hexadecimal digits"),
            kind(
                    "(?s)Unexpected character \\('(.+?)' \\(code.*",
                    found -> "unexpected '%s'".formatted(shown(found.group(1)))),
            kind("(?s)Unexpected character \\(.*", _ -> "unexpected control character"),
            kind(
                    "(?s)(?:Unrecognized token|Non-standard token) '(.*?)'.*",
                    found -> "unexpected '%s'".formatted(shown(found.group(1)))));

    private JsonMistake() {}

    private static Kind kind(String said, Function<Matcher, String> words) {
        return new Kind(Pattern.compile(said), words);
    }

    /** One line. */
    static String of(JsonProcessingException e) {
        JsonLocation place = e.getLocation();
        return place == null
                ? "not valid JSON: " + words(e)
                : "not valid JSON: %s (line %d, column %d)".formatted(words(e), place.getLineNr(), place.getColumnNr());
    }

    private static String words(JsonProcessingException e) {
        String said = String.valueOf(e.getOriginalMessage());
        if (e instanceof JsonEOFException) {
            return "it ends before the value is complete";
        }
        for (Kind kind : KINDS) {
            Matcher found = kind.said().matcher(said);
            if (e instanceof StreamConstraintsException ? found.find() : found.lookingAt()) {
                return kind.words().apply(found);
            }
        }
        return "it is malformed here";
    }

    private static String shown(String text) {
        String line = text.replaceAll("\\p{Cntrl}", "?");
        return line.length() > LONGEST ? line.substring(0, LONGEST) + "…" : line;
    }
}
