package dev.penstock.cli.batch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.cli.job.Draft;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ResultsFileTest {
    private static final String FIRST = "{\"line\":1,\"job\":{\"id\":\"a\",\"event\":\"completed\"}}\n";
    private static final String SECOND = "{\"line\":2,\"job\":{\"id\":\"b\",\"event\":\"failed\"},\"error\":{}}\n";

    @TempDir
    private Path folder = Path.of("");

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "{",
                "{\"li",
                "{\"line\":",
                "{\"line\":3,\"job\":{\"id\":\"\u00fc",
                "{\"line\":3,\"job\":{\"id\":\"c\",\"event\":\"completed\"}}"
            })
    void goes_on_behind_the_last_whole_line(String brokenLine) throws Exception {
        Path path = written(FIRST + SECOND + brokenLine);

        try (ResultsFile results = ResultsFile.open(path, false)) {
            assertThat(results.doneBefore()).isEqualTo(2);
            assertThat(results.failedBefore()).isEqualTo(1);
            assertThat(results.holds(job(1, "a"))).isTrue();
            assertThat(results.holds(job(2, "b"))).isTrue();
            assertThat(results.holds(job(3, "c"))).isFalse();
            results.outcome(
                    3,
                    new ValidEvent(
                            new EventMark(EventMark.Kind.COMPLETED, 1, "r", 1), false, "{\"job\":{\"id\":\"c\"}}"));
        }
        assertThat(path).hasContent(FIRST + SECOND + "{\"line\":3,\"job\":{\"id\":\"c\"}}\n");
    }

    @Test
    void refused_and_malformed_lines_have_their_result_too() throws Exception {
        Path path = folder.resolve("new.ndjson");
        JobFailure failure = JobFailure.invalid("model", "is needed");

        try (ResultsFile results = ResultsFile.open(path, false)) {
            results.malformed(1, failure);
            results.refused(2, new JobId("b"), Problem.refused("no").error());
        }
        assertThat(path)
                .hasContent(
                        "{\"line\":1,\"error\":{\"message\":\"model: is needed\",\"type\":\"invalid_request_error\","
                                + "\"param\":\"model\",\"code\":\"invalid_request\"}}\n"
                                + "{\"line\":2,\"job\":{\"id\":\"b\"},\"error\":{\"message\":\"no\","
                                + "\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"invalid_request\"}}\n");
        try (ResultsFile results = ResultsFile.open(path, false)) {
            assertThat(results.failedBefore()).isEqualTo(2);
            assertThat(results.holds(new JobLine.Malformed(1, failure))).isTrue();
            assertThat(results.holds(job(2, "b"))).isTrue();
        }
    }

    @Test
    void with_retry_failed_a_line_that_is_not_completed_runs_again_as_a_new_job() throws Exception {
        Path path = written(FIRST + SECOND + "{\"line\":3,\"job\":{\"id\":\"c\"},\"error\":{}}\n");
        try (ResultsFile results = ResultsFile.open(path, true)) {
            assertThat(results.doneBefore()).isEqualTo(1);
            assertThat(results.failedBefore()).isZero();
            assertThat(results.holds(job(1, "a"))).isTrue();
            assertThat(results.holds(job(2, "b"))).isFalse();
            assertThat(results.next(job(2, "b")).id().value()).isEqualTo("b.retry-1");
            assertThat(new String(results.next(job(2, "b")).document().get(), StandardCharsets.UTF_8))
                    .isEqualTo("{\"job\":{\"id\":\"b.retry-1\",\"retry_of\":\"b\"}}");
            // it was refused, so its id is free
            assertThat(results.next(job(3, "c")).id().value()).isEqualTo("c");
            results.outcome(
                    2,
                    new ValidEvent(
                            new EventMark(EventMark.Kind.FAILED, 1, "r", 1),
                            false,
                            "{\"job\":{\"id\":\"b.retry-1\",\"event\":\"failed\"}}"));
        }
        try (ResultsFile results = ResultsFile.open(path, true)) {
            assertThat(results.holds(job(2, "b"))).isFalse();
            assertThat(results.next(job(2, "b")).id().value()).isEqualTo("b.retry-2");
        }
        try (ResultsFile results = ResultsFile.open(path, false)) {
            assertThat(results.holds(job(2, "b"))).isTrue();
            assertThat(results.failedBefore()).isEqualTo(2);
        }
    }

    @Test
    void results_of_other_jobs_are_not_gone_on_with() throws Exception {
        try (ResultsFile results = ResultsFile.open(written(FIRST), false)) {
            assertThatThrownBy(() -> results.holds(job(1, "z"))).hasMessageContaining("name another file");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "precious\nthings\n",
                "precious",
                "precious without an end of its last line\nand more",
                "{\"prompt\":\"a file of jobs\"}\n",
                "{\"prompt\":\"a file of jobs\"}",
                "{\"line\":\"1\",\"job\":{}}\n",
                "{\"line\":1.5,\"job\":{}}\n",
                "{\"line\":1,\"text\":\"of another program\"}\n",
                "{\"version\":2,\"line\":1,\"job\":{}}\n",
                "[]",
                " ",
                "\0\0\0",
                FIRST + "precious",
                FIRST + "{\"lines\":1",
                FIRST + "things\n" + SECOND
            })
    void a_file_of_something_else_is_left_alone(String content) throws Exception {
        Path path = written(content);
        FileTime before = Files.getLastModifiedTime(path);

        assertThatThrownBy(() -> ResultsFile.open(path, false))
                .isInstanceOf(Problem.class)
                .hasMessageContaining("something else");

        assertThat(Files.readString(path)).isEqualTo(content);
        assertThat(Files.getLastModifiedTime(path)).isEqualTo(before);
    }

    @Test
    void a_file_of_bytes_is_left_alone() throws Exception {
        byte[] content = {(byte) 0x89, 'P', 'N', 'G', (byte) 0xff, 0, 1};
        Path path = Files.write(folder.resolve("picture.png"), content);

        assertThatThrownBy(() -> ResultsFile.open(path, false)).hasMessageContaining("something else");

        assertThat(Files.readAllBytes(path)).isEqualTo(content);
    }

    @Test
    void only_a_file_is_written_to() throws Exception {
        Path somewhere = folder.resolve("absent");
        Path dangling = Files.createSymbolicLink(folder.resolve("dangling"), somewhere);
        Path device = Files.createSymbolicLink(folder.resolve("device"), Path.of("/dev/null"));

        for (Path path : List.of(folder, dangling, device, Path.of("/dev/null"))) {
            assertThatThrownBy(() -> ResultsFile.open(path, false))
                    .isInstanceOf(Problem.class)
                    .hasMessageContaining("is no file");
        }
        assertThat(somewhere).doesNotExist();
    }

    @Test
    void a_link_to_results_goes_on_with_them() throws Exception {
        Path link = Files.createSymbolicLink(folder.resolve("link"), written(FIRST));

        try (ResultsFile results = ResultsFile.open(link, false)) {
            assertThat(results.doneBefore()).isEqualTo(1);
        }
        Path precious = Files.writeString(folder.resolve("precious"), "precious");
        Path another = Files.createSymbolicLink(folder.resolve("another"), precious);
        assertThatThrownBy(() -> ResultsFile.open(another, false)).hasMessageContaining("something else");
        assertThat(precious).hasContent("precious");
    }

    @Test
    void only_the_owner_can_read_new_results() throws Exception {
        Path path = folder.resolve("new.ndjson");

        ResultsFile.open(path, false).close();

        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
                .isEqualTo("rw-------");
    }

    @Test
    void one_run_at_a_time() throws Exception {
        Path path = written(FIRST);
        try (var _ = ResultsFile.open(path, false)) {
            assertThatThrownBy(() -> ResultsFile.open(path, false)).hasMessageContaining("another run");
        }
    }

    private Path written(String text) throws Exception {
        return Files.writeString(folder.resolve("results.ndjson"), text);
    }

    private static JobLine.Job job(long number, String id) {
        return new JobLine.Job(number, Draft.of(new JobId(id), Json.mapper().createObjectNode()));
    }
}
