package dev.penstock.cli.batch;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.cli.job.Draft;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

public class JobLineTest {
    @Test
    void a_derived_id_depends_on_run_number_and_content_only() {
        String id = job(1, "{\"prompt\":\"a\"}", "").id().value();

        assertThat(job(1, " {\"prompt\" : \"a\"}\r", "").id().value()).isEqualTo(id);
        assertThat(job(2, "{\"prompt\":\"a\"}", "").id().value()).isNotEqualTo(id);
        assertThat(job(1, "{\"prompt\":\"b\"}", "").id().value()).isNotEqualTo(id);
        assertThat(job(1, "{\"prompt\":\"a\"}", "again").id().value()).isNotEqualTo(id);
        assertThat(text(job(1, "{\"prompt\":\"a\"}", "")))
                .isEqualTo("{\"prompt\":\"a\",\"job\":{\"id\":\"" + id + "\"}}");
    }

    @Test
    void an_id_of_its_own_is_kept() {
        assertThat(job(1, "{\"prompt\":\"a\",\"job\":{\"id\":\"mine\"}}", "")
                        .id()
                        .value())
                .isEqualTo("mine");
    }

    @Test
    void options_fill_in_what_the_line_leaves_open() {
        String[] options = {
            "-m", "fast", "--max-tokens", "5", "--system", "be brief", "--priority", "HIGH", "--timeout", "PT1M"
        };

        assertThat(text(job(
                        1,
                        "{\"prompt\":\"a\",\"model\":\"own\",\"job\":{\"id\":\"i\",\"timeout\":\"PT9S\"}}",
                        "",
                        options)))
                .isEqualTo("{\"prompt\":\"a\",\"model\":\"own\",\"job\":{\"id\":\"i\",\"timeout\":\"PT9S\","
                        + "\"priority\":\"high\"},\"system\":\"be brief\",\"max_tokens\":5}");
        assertThat(text(job(1, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", "", "--system", "s")))
                .startsWith("{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\"");
        assertThat(text(job(1, "{\"messages\":[{\"role\":\"system\",\"content\":\"own\"}]}", "", "--system", "s")))
                .startsWith("{\"messages\":[{\"role\":\"system\",\"content\":\"own\"}]");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{",
                "[]",
                "7",
                "{} {}",
                "{\"job\":7}",
                "{\"prompt\":\"a\",\"job\":{\"id\":\"a b\"}}",
                "\"\u0000\""
            })
    void a_malformed_line_becomes_data(String line) {
        assertThat(read(3, line, ""))
                .isInstanceOfSatisfying(
                        JobLine.Malformed.class,
                        malformed -> assertThat(malformed.number()).isEqualTo(3));
    }

    private static Draft job(long number, String line, String run, String... options) {
        return ((JobLine.Job) read(number, line, run, options)).draft();
    }

    private static JobLine read(long number, String line, String run, String... options) {
        return JobLine.read(number, line.getBytes(StandardCharsets.UTF_8), options(options), run);
    }

    public static JobOptions options(String... args) {
        JobOptions options = new JobOptions();
        new CommandLine(CommandLine.Model.CommandSpec.create()
                        .addMixin("job", CommandLine.Model.CommandSpec.forAnnotatedObject(options)))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .parseArgs(args);
        return options;
    }

    private static String text(Draft draft) {
        return new String(draft.document().get(), StandardCharsets.UTF_8);
    }
}
