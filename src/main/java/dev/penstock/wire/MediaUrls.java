package dev.penstock.wire;

import dev.penstock.job.JobFailure;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Finds the addresses in a body that a model server would open: in images, and in image_url, audio_url, video_url, file
 * and similar fields of messages. Any text in the form of an address counts, in any part of a message. So a field that
 * only some servers know does not escape the check. A {@code data:} URL does not count as an address.
 */
public final class MediaUrls {
    /** Fields whose text is always an address. */
    private static final Set<String> ADDRESSES =
            Set.of("url", "uri", "image_url", "audio_url", "video_url", "file_url", "input_image", "video", "audio");

    /** Fields with text that no server opens as an address. */
    private static final Set<String> TEXTS =
            Set.of("text", "refusal", "thinking", "signature", "name", "filename", "title", "type");

    /** Fields of a message with parts that a server may open. */
    private static final Set<String> PARTS = Set.of("content", "images");

    private static final Set<String> CALLS = Set.of("tool_calls", "function_call");

    /** Fields of a tool call that no server opens. The arguments are for the tool. */
    private static final Set<String> TEXTS_OF_CALLS = Set.of("type", "name", "arguments", "input");

    /**
     * Fields with the citations of an answer. A later request repeats them in its history, and no server opens them.
     */
    private static final Set<String> CITATIONS =
            Set.of("annotations", "citations", "context", "provider_specific_fields", "search_results");

    private static final Pattern ADDRESS =
            Pattern.compile("^[\\s\\p{Cntrl}]*[A-Za-z][A-Za-z0-9+.-]*:.*", Pattern.DOTALL);
    /**
     * Matches an address in all other fields. A colon alone is not enough, because names such as {@code team:7} and
     * {@code functions.look:0} have one too.
     */
    private static final Pattern LOCATION =
            Pattern.compile("^[\\s\\p{Cntrl}]*[A-Za-z][A-Za-z0-9+.-]*:[/\\\\].*", Pattern.DOTALL);

    private static final Pattern DATA = Pattern.compile("^data:.*", Pattern.DOTALL);

    private MediaUrls() {}

    /** Replaces addresses. */
    public interface Replacement<E extends Exception> {
        /** @param path the path of the field with the address, such as {@code messages[0].content[1].image_url.url} */
        Object of(String path, String url) throws E;
    }

    /** Returns the failure for the first address that is not allowed. */
    public static Optional<JobFailure> refused(Map<String, Object> body, AllowedHosts hosts) {
        try {
            replace(body, (path, url) -> check(path, url, hosts));
            return Optional.empty();
        } catch (InvalidField e) {
            return Optional.of(e.failure());
        }
    }

    private static String check(String path, String url, AllowedHosts hosts) throws InvalidField {
        try {
            if (hosts.allow(new URI(url))) {
                return url;
            }
        } catch (URISyntaxException e) {
            throw new InvalidField(path, "expected a data: URL", e);
        }
        throw new InvalidField(
                path, "expected a data: URL; others only from the hosts in penstock.images.allowed-hosts");
    }

    /** Returns a copy of the body in which every address is replaced. */
    public static <E extends Exception> Map<String, Object> replace(
            Map<String, Object> body, Replacement<E> replacement) throws E {
        Map<String, Object> copy = new LinkedHashMap<>(body);
        if (body.get("images") instanceof List<?> images) {
            copy.put("images", new Walk<>(ADDRESS, TEXTS, replacement).list("images", images, false));
        }
        if (body.get("messages") instanceof List<?> messages) {
            List<Object> replaced = new ArrayList<>();
            for (int i = 0; i < messages.size(); i++) {
                String path = "messages[" + i + "]";
                replaced.add(
                        messages.get(i) instanceof Map<?, ?> message
                                ? message(path, message, replacement)
                                : messages.get(i));
            }
            copy.put("messages", replaced);
        }
        return copy;
    }

    private static <E extends Exception> Object message(String path, Map<?, ?> message, Replacement<E> replacement)
            throws E {
        Map<Object, Object> copy = new LinkedHashMap<>();
        for (Map.Entry<?, ?> field : message.entrySet()) {
            String name = String.valueOf(field.getKey());
            Object held = field.getValue();
            boolean text = !(held instanceof List<?> || held instanceof Map<?, ?>);
            Walk<E> walk = new Walk<>(
                    PARTS.contains(name) ? ADDRESS : LOCATION,
                    CALLS.contains(name) ? TEXTS_OF_CALLS : TEXTS,
                    replacement);
            copy.put(
                    field.getKey(),
                    text || CITATIONS.contains(name) ? held : walk.value(path + "." + name, held, false));
        }
        return copy;
    }

    /**
     * @param address the form of an address in these fields
     * @param texts the fields that no server opens
     */
    private record Walk<E extends Exception>(Pattern address, Set<String> texts, Replacement<E> replacement) {

        List<Object> list(String path, List<?> items, boolean only) throws E {
            List<Object> replaced = new ArrayList<>();
            for (int i = 0; i < items.size(); i++) {
                replaced.add(value(path + "[" + i + "]", items.get(i), only));
            }
            return replaced;
        }

        /** @param only whether the field holds only addresses */
        @Nullable
        Object value(String path, @Nullable Object value, boolean only) throws E {
            return switch (value) {
                case String text ->
                    !DATA.matcher(text).matches()
                                    && (only || address.matcher(text).matches())
                            ? replacement.of(path, text.strip())
                            : text;
                case List<?> items -> list(path, items, only);
                case Map<?, ?> fields -> {
                    Map<Object, Object> copy = new LinkedHashMap<>();
                    for (Map.Entry<?, ?> field : fields.entrySet()) {
                        String name = String.valueOf(field.getKey());
                        Object held = texts.contains(name)
                                ? field.getValue()
                                : value(path + "." + name, field.getValue(), ADDRESSES.contains(name));
                        copy.put(field.getKey(), held);
                    }
                    yield copy;
                }
                case null, default -> value;
            };
        }
    }
}
