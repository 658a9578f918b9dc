package dev.penstock.node.protocol;

import java.util.Map;

/**
 * Media inside a request, in place of a URL.
 *
 * @param type the media type
 * @param base64 the data in base64, without line breaks
 */
public record InlineData(String type, String base64) {
    /** The first characters of the usual image formats, in base64. */
    private static final Map<String, String> BEGINNINGS =
            Map.of("iVBORw0KGgo", "image/png", "/9j/", "image/jpeg", "R0lGOD", "image/gif", "UklGR", "image/webp");

    /** @param given the data in base64, or as a data: URL */
    public static InlineData of(String given) {
        String text = given.strip();
        int comma = text.indexOf(',');
        if (text.startsWith("data:") && comma > 0) {
            String type = text.substring("data:".length(), comma).replaceFirst(";.*$", "");
            return new InlineData(type.isEmpty() ? "text/plain" : type, unbroken(text.substring(comma + 1)));
        }
        String base64 = unbroken(text);
        String type = BEGINNINGS.entrySet().stream()
                .filter(beginning -> base64.startsWith(beginning.getKey()))
                .map(Map.Entry::getValue)
                .findFirst()
                .orElse("image/png");
        return new InlineData(type, base64);
    }

    private static String unbroken(String base64) {
        return base64.replaceAll("\\s+", "");
    }

    /** Returns the data as a data: URL. */
    public String url() {
        return "data:" + type + ";base64," + base64;
    }
}
