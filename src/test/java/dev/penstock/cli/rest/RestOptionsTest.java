package dev.penstock.cli.rest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.cli.job.Problem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RestOptionsTest {
    @Test
    void the_key_comes_from_the_option_a_file_or_the_environment(@TempDir Path folder) throws IOException, Problem {
        Path file = Files.writeString(folder.resolve("key"), "of-the-file\n");

        assertThat(RestOptions.key("of-the-option", null, "of-the-environment")).isEqualTo("of-the-option");
        assertThat(RestOptions.key(null, file, "of-the-environment")).isEqualTo("of-the-file");
        assertThat(RestOptions.key(null, null, "of-the-environment")).isEqualTo("of-the-environment");
        assertThat(RestOptions.key(null, null, null)).isNull();
        assertThat(RestOptions.key(null, null, " ")).isNull();
    }

    @Test
    void an_invalid_key_is_reported_by_its_source_and_not_shown(@TempDir Path folder) throws IOException {
        Path lines = Files.writeString(folder.resolve("lines"), "secret-1\nsecret-2\n");
        Path empty = Files.createFile(folder.resolve("empty"));

        assertThatThrownBy(() -> RestOptions.key("a", lines, null)).hasMessageContaining("one or the other");
        assertThatThrownBy(() -> RestOptions.key(null, lines, null))
                .hasMessageStartingWith("--api-key-file: ")
                .hasMessageNotContaining("secret");
        assertThatThrownBy(() -> RestOptions.key(null, empty, "x")).hasMessageContaining("is empty");
        assertThatThrownBy(() -> RestOptions.key(null, folder.resolve("none"), null))
                .hasMessageContaining("cannot be read");
        assertThatThrownBy(() -> RestOptions.key(null, null, "secret\r\nX: y"))
                .hasMessageStartingWith("PENSTOCK_API_KEY: ")
                .hasMessageNotContaining("secret");
    }
}
