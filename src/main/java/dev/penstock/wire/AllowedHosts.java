package dev.penstock.wire;

import java.net.URI;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The hosts from which Penstock fetches media for a job.
 *
 * @param names lower-case host names, with a port if it is not the scheme's default
 */
public record AllowedHosts(Set<String> names) {
    public static final AllowedHosts NONE = new AllowedHosts(Set.of());

    public AllowedHosts {
        names = names.stream().map(name -> name.toLowerCase(Locale.ROOT)).collect(Collectors.toUnmodifiableSet());
    }

    public boolean allow(URI url) {
        String scheme = String.valueOf(url.getScheme()).toLowerCase(Locale.ROOT);
        boolean http = scheme.equals("http") || scheme.equals("https");
        if (!http || url.getHost() == null || url.getRawUserInfo() != null) {
            return false;
        }
        String host = url.getHost().toLowerCase(Locale.ROOT);
        int usual = scheme.equals("https") ? 443 : 80;
        boolean usualPort = url.getPort() < 0 || url.getPort() == usual;
        return usualPort ? names.contains(host) : names.contains(host + ":" + url.getPort());
    }
}
