package dev.penstock.deploy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.testkit.TestEnvironment;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** In every way of starting, the service ends when memory runs out: without some of its threads it would look alive. */
class StartsTest {
    private static final String FLAG = "-XX:+ExitOnOutOfMemoryError";

    @ParameterizedTest
    @ValueSource(strings = {"docker/Dockerfile.jvm", "docker/Dockerfile.native", "src/demo/demo.sh", "Makefile"})
    void each_start_has_the_flag(String file) throws IOException {
        List<String> starts = Files.readAllLines(TestEnvironment.projectDir().resolve(file)).stream()
                .filter(line ->
                        line.startsWith("ENTRYPOINT") || line.contains("exec \"$java\"") || line.startsWith("JAVA = "))
                .toList();

        assertThat(starts).isNotEmpty().allSatisfy(line -> assertThat(line).contains(FLAG));
    }

    @Test
    void the_executable_has_it_by_itself() throws IOException {
        assertThat(Files.readString(TestEnvironment.projectDir().resolve("src/main/resources/application.properties")))
                .contains("quarkus.native.additional-build-args=-R:+ExitOnOutOfMemoryError");
    }

    /** A program that records its arguments. */
    @Test
    void bin_penstock_gives_it_to_an_executable() throws Exception {
        Path program = Files.createTempFile("penstock", "");
        try {
            Files.writeString(program, "#!/bin/sh\necho \"$@\"\n");
            assertThat(program.toFile().setExecutable(true)).isTrue();
            ProcessBuilder builder = new ProcessBuilder(
                            TestEnvironment.projectDir().resolve("bin/penstock").toString(), "list")
                    .redirectErrorStream(true);
            builder.environment().put("PENSTOCK_EXECUTABLE", program.toString());
            Process called = builder.start();
            String output = new String(called.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

            assertThat(called.waitFor(20, TimeUnit.SECONDS)).isTrue();
            assertThat(output.strip()).isEqualTo(FLAG + " list");
        } finally {
            Files.delete(program);
        }
    }
}
