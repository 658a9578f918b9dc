package dev.penstock.wire;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonStreamContext;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.io.JsonEOFException;
import java.util.ArrayDeque;
import java.util.List;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Describes a text that is not JSON, in plain words with line and column. Callers never get the parser's own message,
 * because it contains class names and advice about the parser.
 */
final class JsonMistake {
    /** The message of Penstock's own check of exponents. */
    static final String EXPONENT = "exponent";

    private static final int LONGEST = 40;
    private static final int LONGEST_PATH = 100;

    private record Kind(Pattern message, Function<Matcher, String> words) {}

    /** The first kind that matches the parser's message applies. */
    private static final List<Kind> KINDS = List.of(
            kind("Duplicate field '(.*)'", found -> "the field '%s' is there twice".formatted(shown(found.group(1)))),
            kind("nesting depth .*", _ -> "it is nested deeper than %d levels".formatted(Json.MAX_NESTING)),
            kind("Token count .*", _ -> "it has more than %,d values and names".formatted(Json.MAX_TOKENS)),
            kind("Number .*length.*", _ -> "a number has more than %d digits".formatted(Json.MAX_NUMBER)),
            kind("Name .*length.*", _ -> "the name of a field has more than %d characters".formatted(Json.MAX_NAME)),
            kind("String .*length.*", _ -> "a string has more than %d characters".formatted(Json.MAX_STRING)),
            kind(EXPONENT, _ -> "a number has an exponent beyond %d".formatted(Json.MAX_EXPONENT)),
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

    private static Kind kind(String message, Function<Matcher, String> words) {
        return new Kind(Pattern.compile(message), words);
    }

    /** @param parser the parser, at the point where it stopped */
    static Json.MalformedJson of(Throwable e, JsonParser parser) {
        return switch (e) {
            case StreamConstraintsException limit ->
                new Json.MalformedJson(words(limit) + place(parser.currentLocation()), path(parser));
            case JsonProcessingException syntax ->
                new Json.MalformedJson("not valid JSON: " + words(syntax) + place(syntax.getLocation()), null);
            case ArithmeticException _, NumberFormatException _ ->
                new Json.MalformedJson("a number is out of range" + place(parser.currentLocation()), path(parser));
            default -> new Json.MalformedJson("it cannot be read" + place(parser.currentLocation()), path(parser));
        };
    }

    private static String place(@Nullable JsonLocation place) {
        return place == null ? "" : " (line %d, column %d)".formatted(place.getLineNr(), place.getColumnNr());
    }

    /**
     * Returns the field at the parser's position, such as messages[0].content, shortened; empty for the document
     * itself.
     */
    private static String path(JsonParser parser) {
        ArrayDeque<String> steps = new ArrayDeque<>();
        for (JsonStreamContext at = parser.getParsingContext(); at != null && !at.inRoot(); at = at.getParent()) {
            String name = at.getCurrentName();
            if (at.inArray()) {
                steps.addFirst("[" + Math.max(0, at.getCurrentIndex()) + "]");
            } else if (name != null) {
                steps.addFirst("." + shown(name));
            }
        }
        String path = String.join("", steps);
        String field = path.startsWith(".") ? path.substring(1) : path;
        return field.length() > LONGEST_PATH ? field.substring(0, LONGEST_PATH) + "…" : field;
    }

    private static String words(JsonProcessingException e) {
        String message = String.valueOf(e.getOriginalMessage());
        if (e instanceof JsonEOFException) {
            return "it ends before the value is complete";
        }
        for (Kind kind : KINDS) {
            Matcher found = kind.message().matcher(message);
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
