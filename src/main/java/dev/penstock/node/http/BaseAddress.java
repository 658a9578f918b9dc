package dev.penstock.node.http;

import java.net.URI;
import java.util.regex.Pattern;

/** Joins a node's address with a path of its API. */
public final class BaseAddress {
    /** Matches an address with a version. Google's address has one more segment after the version. */
    private static final Pattern VERSIONED =
            Pattern.compile("/v\\d+(?:\\.\\d+)*(?:(?:alpha|beta)\\d*)?(?:/openai)?$", Pattern.CASE_INSENSITIVE);

    private static final String VERSION = "/v1";

    private BaseAddress() {}

    /** Returns the whole path. If the address already has a version, the path adds no second version. */
    public static String path(URI base, String path) {
        String start = base.getRawPath() == null ? "" : base.getRawPath().replaceFirst("/+$", "");
        boolean second =
                path.startsWith(VERSION + "/") && VERSIONED.matcher(start).find();
        return start + (second ? path.substring(VERSION.length()) : path);
    }
}
