package dev.penstock.settings.read;

import dev.penstock.wire.Nearest;
import io.quarkus.runtime.configuration.DurationConverter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;

/** The keys of one object in a routing rule. Each reading reports the mistake in its key. */
final class RuleFields {
    private final String key;
    private final Map<?, ?> fields;
    private final Mistakes mistakes;

    /** @param key the key of the object, without {@code penstock.} */
    RuleFields(String key, Map<?, ?> fields, Mistakes mistakes) {
        this.key = key;
        this.fields = fields;
        this.mistakes = mistakes;
    }

    /** Reports each key that is not known, with the nearest known name. */
    void onlyKnown(Collection<String> known) {
        for (Object name : fields.keySet()) {
            if (!known.contains(String.valueOf(name))) {
                mistakes.mistake(
                        key(String.valueOf(name)),
                        "there is no such key. Did you mean %s?"
                                .formatted(
                                        Nearest.of(String.valueOf(name), known).orElse("")));
            }
        }
    }

    String key(String name) {
        return key + "." + name;
    }

    boolean has(String name) {
        return fields.get(name) != null;
    }

    /** Returns the value of a key; an empty text if there is none. */
    Object value(String name) {
        Object value = fields.get(name);
        return value == null ? "" : value;
    }

    /** Returns the object under a key; an empty object if there is none. */
    RuleFields object(String name) {
        Object value = fields.get(name);
        if (value instanceof Map<?, ?> map) {
            return new RuleFields(key(name), map, mistakes);
        }
        if (value != null) {
            mistakes.mistake(key(name), "expected keys, and not one value");
        }
        return new RuleFields(key(name), Map.of(), mistakes);
    }

    Set<String> names() {
        return fields.keySet().stream().map(String::valueOf).collect(Collectors.toCollection(LinkedHashSet::new));
    }

    Optional<String> text(String name) {
        return switch (fields.get(name)) {
            case null -> Optional.empty();
            case String text when !text.isBlank() -> Optional.of(text.strip());
            default -> {
                mistakes.mistake(key(name), "expected one value");
                yield Optional.empty();
            }
        };
    }

    /** Returns the texts of a list. One text may have several values with commas between them. */
    List<String> texts(String name) {
        Object value = fields.get(name);
        List<String> texts = new ArrayList<>();
        if (value instanceof String text) {
            for (String part : text.split(",", -1)) {
                texts.add(part.strip());
            }
        } else if (value instanceof List<?> list) {
            list.forEach(each -> texts.add(each instanceof String text ? text.strip() : ""));
        }
        if (value != null && texts.stream().anyMatch(String::isEmpty)) {
            mistakes.mistake(key(name), "expected a value, or a list of values");
            return List.of();
        }
        if (value != null && texts.isEmpty()) {
            mistakes.mistake(key(name), "expected at least one value");
        }
        return texts;
    }

    /** Returns the values of a list, each of which has one of the known names. */
    <T> Set<T> each(String name, Collection<T> known, Function<T, String> wireName) {
        Set<T> found = new LinkedHashSet<>();
        for (String text : texts(name)) {
            oneOf(key(name), text, known, wireName).ifPresent(found::add);
        }
        return found;
    }

    <T> Optional<T> oneOf(String at, String text, Collection<T> known, Function<T, String> wireName) {
        Optional<T> found =
                known.stream().filter(each -> wireName.apply(each).equals(text)).findFirst();
        if (found.isEmpty()) {
            List<String> names = known.stream().map(wireName).toList();
            mistakes.mistake(
                    at,
                    "'%s' is none of %s. Did you mean %s?"
                            .formatted(
                                    text,
                                    String.join(", ", names),
                                    Nearest.of(text, names).orElse("")));
        }
        return found;
    }

    /** Returns a number. If the value is none, or is below the least allowed number, that is a mistake. */
    OptionalInt number(String name, int least) {
        Optional<String> text = text(name);
        if (text.isEmpty()) {
            return OptionalInt.empty();
        }
        try {
            int number = Integer.parseInt(text.get());
            if (number >= least) {
                return OptionalInt.of(number);
            }
        } catch (NumberFormatException _) {
            // reported below
        }
        mistakes.mistake(key(name), "'%s': expected an integer from %d on".formatted(text.get(), least));
        return OptionalInt.empty();
    }

    /** Returns a decimal number. If the value is none, or is below the least allowed number, that is a mistake. */
    OptionalDouble decimal(String name, double least) {
        Optional<String> text = text(name);
        if (text.isEmpty()) {
            return OptionalDouble.empty();
        }
        try {
            double number = Double.parseDouble(text.get());
            if (number >= least && Double.isFinite(number)) {
                return OptionalDouble.of(number);
            }
        } catch (NumberFormatException _) {
            // reported below
        }
        mistakes.mistake(key(name), "'%s': expected a number from %s on".formatted(text.get(), least));
        return OptionalDouble.empty();
    }

    Optional<Duration> duration(String name) {
        Optional<String> text = text(name);
        if (text.isEmpty()) {
            return Optional.empty();
        }
        try {
            Duration duration = DurationConverter.parseDuration(text.get());
            if (Mistakes.isTooLong(duration)) {
                mistakes.mistake(key(name), "'%s': %s".formatted(text.get(), Mistakes.TOO_LONG));
                return Optional.empty();
            }
            if (duration.isPositive()) {
                return Optional.of(duration);
            }
        } catch (RuntimeException _) {
            // reported below
        }
        mistakes.mistake(key(name), "'%s': expected a positive duration, such as 30s or 5m".formatted(text.get()));
        return Optional.empty();
    }

    void mistake(String name, String message) {
        mistakes.mistake(key(name), message);
    }
}
