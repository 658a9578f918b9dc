package dev.penstock.api.call;

import java.net.InetAddress;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A host and a port, as in the header Host or in an origin.
 *
 * @param host the host in lower case, without a dot at its end; an IPv6 address is in brackets
 * @param port the port; empty means the default port of the scheme
 */
record Authority(String host, OptionalInt port) {
    private static final Pattern FORM =
            Pattern.compile("(?<host>\\[[0-9A-Fa-f:.]+]|[A-Za-z0-9._~-]+)(?::(?<port>\\d{1,5}))?");

    private static final int LARGEST_PORT = 65_535;

    static Optional<Authority> of(String text) {
        Matcher form = FORM.matcher(text);
        if (!form.matches()) {
            return Optional.empty();
        }
        String port = form.group("port");
        if (port != null && Integer.parseInt(port) > LARGEST_PORT) {
            return Optional.empty();
        }
        String host = form.group("host").toLowerCase(Locale.ROOT);
        return Optional.of(new Authority(
                host.endsWith(".") ? host.substring(0, host.length() - 1) : host,
                port == null ? OptionalInt.empty() : OptionalInt.of(Integer.parseInt(port))));
    }

    /** Returns whether the host reaches only this machine. Looks up no name. */
    boolean isLoopback() {
        if (host.equals("localhost")) {
            return true;
        }
        try {
            return InetAddress.ofLiteral(host).isLoopbackAddress();
        } catch (IllegalArgumentException _) {
            return false;
        }
    }

    /** Returns whether both have the same host and port. If a port is empty, {@code usualPort} is used. */
    boolean isSame(Authority other, int usualPort) {
        return host.equals(other.host) && port.orElse(usualPort) == other.port.orElse(usualPort);
    }
}
