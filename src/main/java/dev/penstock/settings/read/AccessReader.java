package dev.penstock.settings.read;

import dev.penstock.settings.Secrets;
import dev.penstock.settings.Settings;
import dev.penstock.settings.source.PenstockConfig;
import dev.penstock.wire.AllowedHosts;
import dev.penstock.wire.document.JobDocument;
import dev.penstock.wire.document.ReachingFields;
import java.nio.file.Files;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * Reads the keys that permit access: the allowed fields and media hosts of jobs, the host names of the API, and the
 * secrets.
 */
final class AccessReader {
    private final Mistakes mistakes;

    AccessReader(Mistakes mistakes) {
        this.mistakes = mistakes;
    }

    /** Returns the fields, media hosts and webhooks that a job may use. */
    JobDocument.Permissions permissions(PenstockConfig config) {
        Set<String> fields = config.jobs().allowedFields().orElse(Set.of());
        Set<String> hosts = config.images().allowedHosts().orElse(Set.of());
        for (String field : fields) {
            if (!ReachingFields.has(field)) {
                mistakes.mistake("jobs.allowed-fields", "'%s' is not a field that is refused".formatted(field));
            }
        }
        for (String host : hosts) {
            if (!host.matches("[A-Za-z0-9.-]+(:\\d{1,5})?")) {
                mistakes.mistake("images.allowed-hosts", "'%s' is no host, or host:port".formatted(host));
            }
        }
        return new JobDocument.Permissions(
                fields, new AllowedHosts(hosts), config.webhooks().keySet());
    }

    /** Returns the host names of the API and the places of the secrets. */
    Settings.Access read(PenstockConfig config) {
        return new Settings.Access(
                hosts("api.allowed-hosts", config.api().allowedHosts().orElse(Set.of())), secrets(config.auth()));
    }

    private Set<String> hosts(String key, Set<String> given) {
        Set<String> hosts = new HashSet<>();
        for (String host : given) {
            if (!host.matches("([A-Za-z0-9.-]+|\\[[0-9A-Fa-f:.]+])(:\\d{1,5})?")) {
                mistakes.mistake(key, "'%s' is no host, or host:port".formatted(host));
            }
            hosts.add(host.toLowerCase(Locale.ROOT));
        }
        return hosts;
    }

    private Secrets secrets(PenstockConfig.AuthConfig auth) {
        if (!auth.secretPrefix().matches("[A-Za-z_][A-Za-z0-9_]*")) {
            mistakes.mistake("auth.secret-prefix", "'%s' begins no name of a variable".formatted(auth.secretPrefix()));
        }
        auth.secretDir()
                .filter(folder -> !Files.isDirectory(folder))
                .ifPresent(folder -> mistakes.mistake("auth.secret-dir", "'%s' is no folder".formatted(folder)));
        Map<String, Set<String>> hosts = new HashMap<>();
        auth.secretHosts().forEach((name, given) -> hosts.put(name, hosts("auth.secret-hosts." + name, given)));
        return new Secrets(auth.secretPrefix(), auth.secretDir(), hosts);
    }
}
