package dev.penstock.settings.read;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.settings.Settings;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AccessReaderTest {
    private final Mistakes mistakes = new Mistakes();

    @Test
    void hosts_have_small_letters_and_may_have_a_port() {
        Settings.Access access = read(Map.of("penstock.api.allowed-hosts", "Jobs.Example,jobs.example:8080,[::1]:9"));

        assertThat(access.allowedHosts()).containsExactlyInAnyOrder("jobs.example", "jobs.example:8080", "[::1]:9");
        assertThat(mistakes.lines()).isEmpty();
    }

    @Test
    void a_folder_of_secrets_must_be_there(@TempDir Path folder) {
        read(Map.of("penstock.auth.secret-dir", folder.toString()));
        assertThat(mistakes.lines()).isEmpty();

        read(Map.of("penstock.auth.secret-dir", folder.resolve("none").toString()));
        assertThat(mistakes.lines())
                .singleElement()
                .asString()
                .startsWith("penstock.auth.secret-dir:")
                .endsWith("is no folder");
    }

    @Test
    void each_wrong_value_is_listed_with_its_key() {
        read(Map.of(
                "penstock.api.allowed-hosts", "http://jobs.example",
                "penstock.auth.secret-prefix", "1_",
                "penstock.auth.secret-hosts.key", "a/b"));
        new AccessReader(mistakes)
                .permissions(TestSettings.config(Map.of(
                        "penstock.jobs.allowed-fields", "temperature",
                        "penstock.images.allowed-hosts", "https://images.example/")));

        assertThat(mistakes.lines())
                .containsExactly(
                        "penstock.api.allowed-hosts: 'http://jobs.example' is no host, or host:port",
                        "penstock.auth.secret-prefix: '1_' begins no name of a variable",
                        "penstock.auth.secret-hosts.key: 'a/b' is no host, or host:port",
                        "penstock.jobs.allowed-fields: 'temperature' is not a field that is refused",
                        "penstock.images.allowed-hosts: 'https://images.example/' is no host, or host:port");
    }

    private Settings.Access read(Map<String, String> keys) {
        return new AccessReader(mistakes).read(TestSettings.config(keys));
    }
}
