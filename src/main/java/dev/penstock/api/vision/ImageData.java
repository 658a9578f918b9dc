package dev.penstock.api.vision;

import dev.penstock.wire.InvalidField;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Checks that data is an image, by its first bytes. A model server would answer broken data with an error of its own, or
 * with a description of nothing.
 */
final class ImageData {
    private static final String DATA = "data:";
    private static final String BASE64 = ";base64";
    private static final String IMAGE = "image/";
    private static final String UNKNOWN = "application/octet-stream";
    private static final int WEBP_TAG = 8;

    /** The types whose first bytes are known. */
    private static final List<String> TYPES =
            List.of("image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp");

    private ImageData() {}

    /**
     * Checks an image in a text: base64 or a data: URL. Any other URL is only an address, which is not checked here.
     *
     * @param path the path of the field, for errors
     */
    static void check(String path, String text) throws InvalidField {
        String given = text.strip();
        if (given.startsWith(DATA)) {
            int comma = given.indexOf(',');
            String head = given.substring(DATA.length(), Math.max(DATA.length(), comma));
            if (!head.endsWith(BASE64)) {
                throw new InvalidField(path, "expected data:image/…;base64,…");
            }
            type(path, head.substring(0, head.indexOf(';')), decoded(path, given.substring(comma + 1)));
        } else if (given.indexOf(':') < 0) {
            type(path, null, decoded(path, given));
        }
    }

    /**
     * Returns an image as a data: URL.
     *
     * @param declared the type that its sender declares; null if there is none
     */
    static String url(String path, @Nullable String declared, byte[] image) throws InvalidField {
        return DATA + type(path, declared, image) + BASE64 + ","
                + Base64.getEncoder().encodeToString(image);
    }

    private static byte[] decoded(String path, String base64) throws InvalidField {
        try {
            return Base64.getDecoder().decode(base64.replaceAll("\\s+", ""));
        } catch (IllegalArgumentException e) {
            throw new InvalidField(path, "is neither base64 nor a data: URL", e);
        }
    }

    /** Returns the type of an image: by its first bytes, else the declared type if Penstock cannot recognise it. */
    private static String type(String path, @Nullable String declared, byte[] image) throws InvalidField {
        String type = declared == null ? UNKNOWN : declared.strip().toLowerCase(Locale.ROOT);
        if (!type.startsWith(IMAGE) && !type.equals(UNKNOWN)) {
            throw new InvalidField(path, "expected an image, got " + (type.isEmpty() ? "no type" : type));
        }
        if (image.length == 0) {
            throw new InvalidField(path, "the image is empty");
        }
        Optional<String> found = recognised(image);
        if (found.isEmpty() && (type.equals(UNKNOWN) || TYPES.contains(type))) {
            throw new InvalidField(path, "is no PNG, JPEG, GIF or WebP image");
        }
        return found.orElse(type);
    }

    private static Optional<String> recognised(byte[] image) {
        if (startsWith(image, 0, "\u0089PNG\r\n\u001a\n")) {
            return Optional.of("image/png");
        }
        if (startsWith(image, 0, "\u00ff\u00d8\u00ff")) {
            return Optional.of("image/jpeg");
        }
        if (startsWith(image, 0, "GIF87a") || startsWith(image, 0, "GIF89a")) {
            return Optional.of("image/gif");
        }
        return startsWith(image, 0, "RIFF") && startsWith(image, WEBP_TAG, "WEBP")
                ? Optional.of("image/webp")
                : Optional.empty();
    }

    private static boolean startsWith(byte[] image, int at, String sign) {
        return image.length >= at + sign.length()
                && new String(image, at, sign.length(), StandardCharsets.ISO_8859_1).equals(sign);
    }
}
