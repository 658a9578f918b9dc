package dev.penstock.fuzz;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dev.penstock.testkit.TestEnvironment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Runs every input that {@code make fuzz} has kept through its readers again. node.KeptAnswersTest has the others. */
class KeptInputsTest {
    private static final int GENERATED = 3_000;

    @ParameterizedTest
    @MethodSource("records")
    void no_reader_fails_at_a_kept_record(Path file) throws IOException {
        Input input = Input.TopicRecord.ofFile(Files.readAllBytes(file));

        assertThatCode(() -> Oracle.read(input)).doesNotThrowAnyException();
    }

    static List<Path> records() {
        return Input.kept(TestEnvironment.projectDir(), "record");
    }

    @ParameterizedTest
    @MethodSource("calls")
    void no_reader_fails_at_the_body_of_a_kept_call(Path file) throws IOException {
        Input input = new Input.Call(Files.readAllBytes(file));

        assertThatCode(() -> Oracle.read(input)).doesNotThrowAnyException();
    }

    static List<Path> calls() {
        return Input.kept(TestEnvironment.projectDir(), "call");
    }

    @Test
    void an_input_follows_from_its_seed_and_number() {
        Published published = Published.of(TestEnvironment.projectDir());
        Generator one = new Generator(7, published.operations(), TestEnvironment.projectDir());
        Generator same = new Generator(7, published.operations(), TestEnvironment.projectDir());
        one.call(5);

        assertThat(one.call(3).toFile()).isEqualTo(same.call(3).toFile());
        assertThat(one.record(3).toFile()).isEqualTo(same.record(3).toFile());
        assertThat(one.said(3, "vllm").toFile()).isEqualTo(same.said(3, "vllm").toFile());
    }

    @Test
    void a_kept_record_is_read_back_as_it_was() {
        Generator generator =
                new Generator(7, Published.of(TestEnvironment.projectDir()).operations(), TestEnvironment.projectDir());
        for (int i = 0; i < 200; i++) {
            byte[] file = generator.record(i).toFile();
            assertThat(Input.TopicRecord.ofFile(file).toFile()).isEqualTo(file);
        }
    }

    /** Runs a few inputs of each generator in every build; `make fuzz` runs many more against the whole service. */
    @Test
    void no_reader_fails_at_generated_records() {
        Generator generator =
                new Generator(1, Published.of(TestEnvironment.projectDir()).operations(), TestEnvironment.projectDir());
        for (int i = 0; i < GENERATED; i++) {
            Input.TopicRecord record = generator.record(i);
            assertThatCode(() -> Oracle.read(record)).as("record %d", i).doesNotThrowAnyException();
        }
    }
}
