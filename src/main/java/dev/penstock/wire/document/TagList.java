package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads the tags in a model's answer. The answer may be JSON, as requested, or a list in another form that models
 * write.
 */
public final class TagList {
    private static final int LONGEST = 100;
    private static final int MOST_WORDS = 5;
    private static final Pattern FENCE = Pattern.compile("```[A-Za-z]*\\s*(.*?)(?:```|$)", Pattern.DOTALL);
    private static final Pattern THOUGHT = Pattern.compile("<think>.*?</think>", Pattern.DOTALL);
    private static final Pattern ITEM = Pattern.compile("^\\s*(?:[-*•+]|\\(?\\d{1,3}[.):])\\s+(\\S.*)$");
    private static final Pattern EXPLANATION = Pattern.compile("(?: [-–—] |: ).*$");
    private static final Pattern LABEL =
            Pattern.compile("(?i)^\\W*(?:[a-z ]{0,40}\\b)?(?:tags|keywords|labels)\\W*?:\\W*");
    private static final Pattern HASHTAG = Pattern.compile("#([\\p{L}\\p{N}_-]+)");

    private TagList() {}

    /** @return the tags; empty if the answer is not a list */
    public static Optional<List<String>> of(String answer) {
        String text = THOUGHT.matcher(answer).replaceAll("").strip();
        Matcher fence = FENCE.matcher(text);
        String inner = fence.find() ? fence.group(1).strip() : text;
        JsonNode whole = inner.isEmpty() ? null : Json.parseLenient(inner);
        if (whole != null && whole.isValueNode() && !whole.isTextual()) {
            return Optional.empty();
        }
        Optional<List<String>> tags = whole == null ? Optional.empty() : fromJson(whole);
        if (tags.isEmpty()) {
            tags = embedded(inner);
        }
        if (tags.isEmpty() && inner.indexOf('{') < 0 && inner.indexOf('[') < 0) {
            tags = written(inner);
        }
        return tags;
    }

    private static Optional<List<String>> fromJson(JsonNode json) {
        if (json.isArray()) {
            List<String> tags = new ArrayList<>();
            for (JsonNode item : json) {
                String tag = text(item);
                if (tag == null) {
                    return Optional.empty();
                }
                tags.add(tag);
            }
            return Optional.of(cleaned(tags));
        }
        if (!json.isObject()) {
            return Optional.empty();
        }
        JsonNode listed = json.get("tags");
        if (listed != null && listed.isTextual()) {
            return written(listed.textValue());
        }
        if (listed != null) {
            return fromJson(listed);
        }
        return json.size() == 1 && json.iterator().next().isArray()
                ? fromJson(json.iterator().next())
                : Optional.empty();
    }

    /** Returns a tag from a string, or from an object with its name. */
    private static @Nullable String text(JsonNode item) {
        if (item.isObject()) {
            for (String name : List.of("tag", "name", "label", "keyword")) {
                if (item.path(name).isTextual()) {
                    return item.path(name).textValue();
                }
            }
            return null;
        }
        return item.isTextual() || item.isNumber() ? item.asText() : null;
    }

    /** Returns the tags of the first JSON list within prose. */
    private static Optional<List<String>> embedded(String text) {
        for (String brackets : List.of("[]", "{}")) {
            int start = text.indexOf(brackets.charAt(0));
            int end = text.lastIndexOf(brackets.charAt(1));
            JsonNode json = start >= 0 && end > start ? Json.parseLenient(text.substring(start, end + 1)) : null;
            Optional<List<String>> tags = json == null ? Optional.empty() : fromJson(json);
            if (tags.isPresent()) {
                return tags;
            }
        }
        return Optional.empty();
    }

    private static Optional<List<String>> written(String text) {
        List<String> items = new ArrayList<>();
        text.lines()
                .map(ITEM::matcher)
                .filter(Matcher::matches)
                .forEach(item ->
                        items.add(EXPLANATION.matcher(plain(item.group(1))).replaceAll("")));
        if (!items.isEmpty()) {
            return fitting(items);
        }
        List<String> hashtags =
                HASHTAG.matcher(text).results().map(tag -> tag.group(1)).toList();
        if (hashtags.size() > 1) {
            return fitting(hashtags);
        }
        for (String line : text.lines().toList().reversed()) {
            Matcher label = LABEL.matcher(line);
            boolean labelled = label.find();
            String rest = labelled ? line.substring(label.end()) : line;
            if (labelled || rest.indexOf(',') > 0) {
                Optional<List<String>> tags = fitting(List.of(rest.split("[,;]", -1)));
                if (tags.isPresent()) {
                    return tags;
                }
            }
        }
        List<String> lines = text.lines().filter(line -> !line.isBlank()).toList();
        return lines.size() > 1 || (lines.size() == 1 && !text.contains(" ")) ? fitting(lines) : Optional.empty();
    }

    /** Returns the items if they look like tags, and not like parts of a sentence. */
    private static Optional<List<String>> fitting(List<String> given) {
        List<String> tags = cleaned(given);
        boolean fit = !tags.isEmpty()
                && tags.stream()
                        .allMatch(tag -> tag.length() <= LONGEST
                                && tag.split("\\s+", -1).length <= MOST_WORDS
                                && !tag.contains(". "));
        return fit ? Optional.of(tags) : Optional.empty();
    }

    private static List<String> cleaned(List<String> given) {
        LinkedHashSet<String> tags = new LinkedHashSet<>();
        for (String item : given) {
            String tag = plain(item)
                    .replaceFirst("(?i)^and ", "")
                    .replaceFirst("[.,;:!]+$", "")
                    .strip();
            if (!tag.isEmpty() && tags.stream().noneMatch(known -> same(known, tag))) {
                tags.add(tag);
            }
        }
        return List.copyOf(tags);
    }

    private static boolean same(String one, String other) {
        return one.toLowerCase(Locale.ROOT).equals(other.toLowerCase(Locale.ROOT));
    }

    /** Removes Markdown's marks and quotation marks. */
    private static String plain(String item) {
        return item.replaceAll("[*`\"“”]", "").replaceFirst("^#", "").strip();
    }
}
