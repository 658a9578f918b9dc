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
 * The addresses in a body that a model server would open: images, and image_url, audio_url, video_url, file and the
 * like in content parts. Whatever looks like an address counts, in whichever field of a part, so that a server's
 * own field is no way around. {@code data:} is none.
 */
public final class MediaUrls {
    /** These hold an address or nothing. */
    private static final Set<String> ADDRESSES =
            Set.of("url", "uri", "image_url", "audio_url", "video_url", "file_url", "input_image", "video", "audio");

    /** These hold text that no server opens. */
    private static final Set<String> TEXTS =
            Set.of("text", "refusal", "thinking", "signature", "name", "filename", "title", "type");

    private static final Pattern ADDRESS =
            Pattern.compile("^[\\s\\p{Cntrl}]*[A-Za-z][A-Za-z0-9+.-]*:.*", Pattern.DOTALL);
    private static final Pattern DATA = Pattern.compile("^data:.*", Pattern.DOTALL);

    private MediaUrls() {}

    /** What to put in the place of an address. */
    public interface Replacement<E extends Exception> {
        /** @param path where it stands, as {@code messages[0].content[1].image_url.url} */
        Object of(String path, String url) throws E;
    }

    /** The first address that may not stand there. */
    static Optional<JobFailure> refused(Map<String, Object> body, AllowedHosts hosts) {
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

    /** The same body with every address replaced; the body itself where there is none. */
    public static <E extends Exception> Map<String, Object> replace(
            Map<String, Object> body, Replacement<E> replacement) throws E {
        Map<String, Object> copy = new LinkedHashMap<>(body);
        if (body.get("images") instanceof List<?> images) {
            copy.put("images", list("images", images, false, replacement));
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
        Map<Object, Object> copy = new LinkedHashMap<>(message);
        for (String name : List.of("content", "images")) {
            if (message.get(name) instanceof List<?> parts) {
                copy.put(name, list(path + "." + name, parts, false, replacement));
            }
        }
        return copy;
    }

    private static <E extends Exception> List<Object> list(
            String path, List<?> items, boolean address, Replacement<E> replacement) throws E {
        List<Object> replaced = new ArrayList<>();
        for (int i = 0; i < items.size(); i++) {
            replaced.add(value(path + "[" + i + "]", items.get(i), address, replacement));
        }
        return replaced;
    }

    /** @param address whether its field holds nothing else */
    private static <E extends Exception> @Nullable Object value(
            String path, @Nullable Object value, boolean address, Replacement<E> replacement) throws E {
        return switch (value) {
            case String text ->
                !DATA.matcher(text).matches()
                                && (address || ADDRESS.matcher(text).matches())
                        ? replacement.of(path, text.strip())
                        : text;
            case List<?> items -> list(path, items, address, replacement);
            case Map<?, ?> fields -> {
                Map<Object, Object> copy = new LinkedHashMap<>();
                for (Map.Entry<?, ?> field : fields.entrySet()) {
                    String name = String.valueOf(field.getKey());
                    Object held = TEXTS.contains(name)
                            ? field.getValue()
                            : value(path + "." + name, field.getValue(), ADDRESSES.contains(name), replacement);
                    copy.put(field.getKey(), held);
                }
                yield copy;
            }
            case null, default -> value;
        };
    }
}
