package dev.penstock.settings.read;

import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/** The rules of RFC 9110 for a header that a user adds to the requests of a node. */
final class HeaderRules {
    private static final Pattern TOKEN = Pattern.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}");

    /** Blanks, visible ASCII characters and the upper half of Latin-1: the bytes that a header may have. */
    private static final Pattern VALUE = Pattern.compile("[\\t\\x20-\\x7E\\x80-\\xFF]{0,8192}");

    /** The headers of one connection, and the headers that decide the target and the end of a message. */
    private static final Set<String> OF_CONNECTION = Set.of(
            "connection",
            "keep-alive",
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authorization",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "http2-settings",
            "expect",
            "host",
            "content-length");

    private HeaderRules() {}

    /** Returns the mistake in a header, without the header's value; empty if there is none. */
    static Optional<String> mistake(String name, String value) {
        if (!TOKEN.matcher(name).matches()) {
            return Optional.of("is no name of a header: letters, digits and !#$%&'*+-.^_`|~ are allowed");
        }
        if (OF_CONNECTION.contains(name.toLowerCase(Locale.ROOT))) {
            return Optional.of("belongs to the connection, and is set by Penstock alone");
        }
        return VALUE.matcher(value).matches()
                ? Optional.empty()
                : Optional.of("has a value that no header can have: one line without control characters, in Latin-1");
    }
}
