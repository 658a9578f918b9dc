package dev.penstock.settings.source;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The values of {@code extra-body}, {@code parameters} and {@code routes}. A model server defines the shape of the first
 * two. A list or an object has one of two forms: one key for each of its values, as YAML produces them, or JSON in one
 * string. The values of {@code routes} stay texts, because only their reader knows their types.
 */
public final class FreeForm {
    private static final Pattern KEY = Pattern.compile(
            "penstock\\.(?<place>(?:nodes\\.(?:\"[^\"]+\"|[^.\"]+)\\.)?(?:extra-body|parameters))\\.(?<path>.+)");
    private static final String PREFIX = "penstock.";
    private static final String ROUTES = "routes";
    private static final Pattern OF_ROUTES = Pattern.compile("penstock\\.routes(?:[.\\[].*)?");
    private static final Pattern SEGMENT = Pattern.compile("(?:^|\\.)(?:\"([^\"]+)\"|([^.\\[\"]+))|\\[(\\d{1,4})\\]");

    /**
     * The nested values of each place, such as {@code nodes.gpu.extra-body}. The keys are sorted, so that lists keep
     * their order.
     */
    private final Map<String, Map<String, Object>> nested = new HashMap<>();
    /** For each place, the keys of its nested values. The mapping also contains these keys, as names with dots. */
    private final Map<String, Set<String>> paths = new HashMap<>();

    private final Map<String, Object> routes = new HashMap<>();

    /** @param keys all configured keys with their values; this class uses only the free-form keys */
    public FreeForm(Map<String, String> keys) {
        new TreeMap<>(keys).forEach((key, text) -> {
            if (OF_ROUTES.matcher(key).matches()) {
                put(routes, path(key.substring(PREFIX.length())), text);
                return;
            }
            Matcher free = KEY.matcher(key);
            if (free.matches()) {
                List<Object> path = path(free.group("path"));
                if (path.size() > 1) {
                    String place = plain(free.group("place"));
                    put(nested.computeIfAbsent(place, _ -> new LinkedHashMap<>()), path, ConfigValue.of(text));
                    paths.computeIfAbsent(place, _ -> new HashSet<>()).add(free.group("path"));
                }
            }
        });
    }

    static boolean isNested(String key) {
        Matcher free = KEY.matcher(key);
        return free.matches() && path(free.group("path")).size() > 1;
    }

    /** Returns whether a key is one of the routing rules. */
    static boolean isOfRoutes(String key) {
        return OF_ROUTES.matcher(key).matches();
    }

    /** Returns the value of {@code routes}: a text, or lists and maps of texts; empty if there is none. */
    public Optional<Object> routes() {
        return Optional.ofNullable(routes.get(ROUTES)).map(FreeForm::lists);
    }

    /** Turns the texts in a value of {@code routes} into values for a request. A text that is JSON becomes JSON. */
    public static Object values(Object texts) {
        return switch (texts) {
            case Map<?, ?> map -> {
                Map<String, Object> values = new LinkedHashMap<>();
                map.forEach((name, held) -> values.put(String.valueOf(name), values(held)));
                yield values;
            }
            case List<?> list -> list.stream().map(FreeForm::values).toList();
            default -> ConfigValue.of(String.valueOf(texts));
        };
    }

    /**
     * Returns all values of one place.
     *
     * @param flat the values whose keys are not nested
     */
    public Map<String, Object> at(String place, Map<String, String> flat) {
        Map<String, Object> all = ConfigValue.all(flat);
        all.keySet().removeAll(paths.getOrDefault(place, Set.of()));
        nested.getOrDefault(place, Map.of()).forEach((name, value) -> all.put(name, lists(value)));
        return all;
    }

    private static String plain(String place) {
        return place.replace("\"", "");
    }

    /** Returns the segments of a path. A name is a text, and the index of a list is a number. */
    private static List<Object> path(String text) {
        List<Object> path = new ArrayList<>();
        Matcher segment = SEGMENT.matcher(text);
        while (segment.find()) {
            String index = segment.group(3);
            String name = segment.group(1) == null ? segment.group(2) : segment.group(1);
            path.add(index == null ? String.valueOf(name) : (Object) Integer.valueOf(index));
        }
        return path;
    }

    @SuppressWarnings("unchecked") // only this method creates the nested maps
    private static void put(Map<?, Object> into, List<Object> path, Object value) {
        Map<Object, Object> map = (Map<Object, Object>) into;
        for (Object name : path.subList(0, path.size() - 1)) {
            if (!(map.get(name) instanceof TreeMap)) {
                map.put(name, new TreeMap<>(FreeForm::compare));
            }
            map = (Map<Object, Object>) map.get(name);
        }
        map.put(path.getLast(), value);
    }

    private static int compare(Object a, Object b) {
        return a instanceof Integer one && b instanceof Integer other
                ? Integer.compare(one, other)
                : String.valueOf(a).compareTo(String.valueOf(b));
    }

    /** Turns a map into a list if all its keys are indexes. */
    private static Object lists(Object value) {
        if (!(value instanceof TreeMap<?, ?> map)) {
            return value;
        }
        if (map.keySet().stream().allMatch(Integer.class::isInstance)) {
            return map.values().stream().map(FreeForm::lists).toList();
        }
        Map<String, Object> object = new LinkedHashMap<>();
        map.forEach((name, held) -> object.put(String.valueOf(name), lists(held)));
        return object;
    }
}
