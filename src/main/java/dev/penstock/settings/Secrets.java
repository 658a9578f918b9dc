package dev.penstock.settings;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The API keys for nodes that are added at run time. Such a node contains a reference to its key. The reference names
 * an environment variable with a prefix, or a file in one folder. The caller who adds a node chooses both the reference
 * and the address. To prevent the theft of keys, a reference belongs to fixed addresses: the hosts that the
 * configuration lists for it, or else the address of the first node that used it.
 *
 * @param prefix the prefix of the variables' names
 * @param folder the folder of the files; empty if no file is allowed
 * @param hosts for each variable or file, by its name: the host names that may receive its key, with or without a port
 */
public record Secrets(String prefix, Optional<Path> folder, Map<String, Set<String>> hosts) {
    public static final String DEFAULT_PREFIX = "PENSTOCK_SECRET_";

    /** The defaults: the default prefix, no folder, no hosts. */
    public static final Secrets DEFAULTS = new Secrets(DEFAULT_PREFIX, Optional.empty(), Map.of());

    private static final int LONGEST = 16_384;
    private static final String VARIABLE = "env:";
    private static final String FILE = "file:";
    private static final Pattern REFERENCE = Pattern.compile("env:[A-Za-z_][A-Za-z0-9_]*|file:/\\P{Cc}+");

    public Secrets {
        hosts = Map.copyOf(hosts);
    }

    /** Returns whether a text has the form of a reference. */
    public static boolean isReference(String text) {
        return REFERENCE.matcher(text).matches();
    }

    /** Returns the place to which a key is sent: scheme, host and port. Another scheme or port is another place. */
    public static String place(URI url) {
        String scheme = String.valueOf(url.getScheme()).toLowerCase(Locale.ROOT);
        int port = url.getPort() >= 0 ? url.getPort() : scheme.equals("https") ? 443 : 80;
        return "%s://%s:%d".formatted(scheme, String.valueOf(url.getHost()).toLowerCase(Locale.ROOT), port);
    }

    /**
     * Returns the key behind a reference; empty if there is none for this address, whatever the reason.
     *
     * @param boundTo the place of the first node that used the reference; null if no node did
     */
    public Optional<String> find(String reference, URI url, @Nullable String boundTo, Map<String, String> environment) {
        if (!isReference(reference) || !mayGo(reference, url, boundTo)) {
            return Optional.empty();
        }
        Optional<String> found = Optional.empty();
        if (reference.startsWith(VARIABLE)) {
            String variable = reference.substring(VARIABLE.length());
            if (variable.startsWith(prefix) && variable.length() > prefix.length()) {
                found = Optional.ofNullable(environment.get(variable));
            }
        } else {
            found = file(reference).flatMap(Secrets::content);
        }
        return found.map(String::strip)
                .filter(key -> !key.isEmpty() && key.chars().noneMatch(Character::isISOControl));
    }

    /** Returns whether the key behind a reference may be sent to this address. */
    public boolean mayGo(String reference, URI url, @Nullable String boundTo) {
        Set<String> listed = hosts.get(name(reference));
        if (listed == null) {
            return boundTo == null || boundTo.equals(place(url));
        }
        String place = place(url);
        String host = String.valueOf(url.getHost()).toLowerCase(Locale.ROOT);
        return listed.contains(host) || listed.contains(place.substring(place.indexOf("//") + 2));
    }

    /** Returns the name of the variable or of the file in a reference. */
    private String name(String reference) {
        if (reference.startsWith(VARIABLE)) {
            return reference.substring(VARIABLE.length());
        }
        return reference.substring(reference.lastIndexOf('/') + 1);
    }

    /**
     * Returns the file behind a reference. The file must be directly in the folder, also after links are resolved. Each
     * file has exactly one valid reference, because a second spelling could belong to another address.
     */
    private Optional<Path> file(String reference) {
        try {
            Path path = Path.of(reference.substring(FILE.length()));
            boolean asItIs = path.normalize().equals(path) && reference.equals(FILE + path);
            return folder.map(given -> given.toAbsolutePath().normalize())
                    .filter(root -> asItIs && root.equals(path.getParent()))
                    .flatMap(Secrets::real)
                    .flatMap(root -> real(path).filter(file -> file.startsWith(root)));
        } catch (InvalidPathException _) {
            return Optional.empty();
        }
    }

    private static Optional<Path> real(Path path) {
        try {
            return Optional.of(path.toRealPath());
        } catch (IOException _) {
            return Optional.empty();
        }
    }

    private static Optional<String> content(Path file) {
        try {
            // reading a device or a pipe could block for ever
            return Files.isRegularFile(file) && Files.size(file) <= LONGEST
                    ? Optional.of(Files.readString(file))
                    : Optional.empty();
        } catch (IOException _) {
            return Optional.empty();
        }
    }

    /**
     * Returns the message for a missing key. It is the same for every reason, because the reason would reveal which
     * variables and files exist.
     */
    public String missing() {
        return "no key for this node is found by the reference. Use env:NAME, where NAME begins with %s, or file:/path of a file in the folder penstock.auth.secret-dir. The key has one line, and is not bound to another address (penstock.auth.secret-hosts)"
                .formatted(prefix);
    }
}
