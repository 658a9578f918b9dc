package dev.penstock.cli.rest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.cli.batch.Batch;
import dev.penstock.cli.batch.JobLineTest;
import dev.penstock.cli.batch.JobLines;
import dev.penstock.cli.batch.ResultsFile;
import dev.penstock.cli.job.Draft;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.EventListener;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.job.ValidEvent;
import dev.penstock.cli.view.Console;
import dev.penstock.cli.view.Progress;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobId;
import dev.penstock.wire.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RestGateTest {
    private static final JobId ID = new JobId("j");
    private static final String STARTED = event("started", 1, 0);
    private static final String CHUNK = event("chunk", 1, 1);
    private static final String COMPLETED = event("completed", 1, 2);

    private final Seen seen = new Seen();
    private ScriptedHttpServer service;
    private RestGate gate;

    RestGateTest() throws Exception {
        service = new ScriptedHttpServer();
        gate = new RestGate(new Rest(service.url(), null), new Patience(3, Duration.ZERO, Duration.ZERO));
    }

    @BeforeEach
    void nothingWasAsked() {
        assertThat(service.requests()).isEmpty();
    }

    @AfterEach
    void close() {
        gate.close();
        service.close();
    }

    @Test
    void a_stream_that_is_cut_is_resumed_after_its_last_event_and_none_counts_twice() throws Exception {
        service.stream(":penstock\n\n" + STARTED + CHUNK).json(503, "{\"error\":{\"message\":\"away\"}}").stream(
                CHUNK + COMPLETED);

        ValidEvent outcome = gate.submit(Draft.of(ID, document()), seen);

        assertThat(outcome.mark().kind()).isEqualTo(EventMark.Kind.COMPLETED);
        assertThat(seen.events).containsExactly("started", "chunk", "completed");
        assertThat(service.requests())
                .containsExactly(
                        "POST /v1/jobs null {\"prompt\":\"a\",\"job\":{\"id\":\"j\"}}",
                        "GET /v1/jobs/j/events at-1",
                        "GET /v1/jobs/j/events at-1");
    }

    @Test
    void a_job_that_was_not_accepted_is_sent_again_under_its_id() throws Exception {
        service.json(503, "{\"error\":{\"message\":\"away\"}}").stream(STARTED + COMPLETED);

        gate.submit(Draft.of(ID, document()), seen);

        assertThat(service.requests()).hasSize(2).allMatch(request -> request.startsWith("POST /v1/jobs"));
    }

    @Test
    void patience_ends() {
        service.json(503, "{\"error\":{\"message\":\"away\",\"code\":\"broker_unavailable\"}}")
                .json(503, "{}")
                .json(503, "");

        assertThatThrownBy(() -> gate.submit(Draft.of(ID, document()), seen))
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.ending()).isEqualTo(Ending.BROKEN_OFF));
        assertThat(seen.notes.getFirst()).contains("503: away (broker_unavailable)");
    }

    @Test
    void a_refusal_has_the_services_message() {
        service.json(400, "{\"error\":{\"message\":\"prompt: expected a string\",\"code\":\"invalid_request\"}}");

        assertThatThrownBy(() -> gate.submit(Draft.of(ID, document()), seen))
                .hasMessage("prompt: expected a string (invalid_request)")
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.ending()).isEqualTo(Ending.REFUSED));
    }

    @Test
    void a_rejected_record_ends_whatever_waits_for_it() throws Exception {
        service.stream(event("rejected", 0, 0));
        assertThatThrownBy(() -> gate.submit(Draft.of(ID, document()), seen)).hasMessageContaining("rejected: why");

        service.stream(event("rejected", 0, 0));
        assertThatThrownBy(() -> gate.watch(ID, seen))
                .hasMessageContaining("rejected: why")
                .isInstanceOfSatisfying(
                        Problem.class, problem -> assertThat(problem.ending()).isEqualTo(Ending.REFUSED));
    }

    @Test
    void a_run_gives_every_line_its_result_and_goes_on_where_it_stopped(@TempDir Path folder) throws Exception {
        Path out = folder.resolve("out.ndjson");
        JobLines lines = new JobLines(
                Files.writeString(folder.resolve("in.ndjson"), "{\"prompt\":\"a\",\"job\":{\"id\":\"j\"}}\n\n{\n{}\n"),
                JobLineTest.options(),
                "");
        service.stream(STARTED + COMPLETED).json(401, "{\"error\":{\"message\":\"no\",\"code\":\"unauthorized\"}}");

        assertThatThrownBy(() -> run(lines, out)).hasMessage("no (unauthorized)");
        assertThat(Files.readAllLines(out)).hasSize(2);

        service.json(400, "{\"error\":{\"message\":\"empty\",\"code\":\"invalid_request\"}}");
        assertThat(run(lines, out)).isEqualTo(Ending.FAILED);
        assertThat(Files.readAllLines(out))
                .satisfiesExactlyInAnyOrder(
                        line -> assertThat(line)
                                .startsWith("{\"line\":1,\"job\":{\"id\":\"j\",\"event\":\"completed\""),
                        line -> assertThat(line).startsWith("{\"line\":3,\"error\":{\"message\":\"not valid JSON"),
                        line -> assertThat(line)
                                .startsWith("{\"line\":4,\"job\":{\"id\":")
                                .contains("empty"));
        assertThat(service.requests()).hasSize(3);
    }

    private Ending run(JobLines lines, Path out) throws Problem, InterruptedException {
        try (ResultsFile results = ResultsFile.open(out, false);
                Progress progress = Progress.start(new Console().terminal(), lines.count())) {
            return new Batch(gate, lines, results, 1, progress).run();
        }
    }

    private static ObjectNode document() {
        return Json.mapper().createObjectNode().put("prompt", "a");
    }

    private static String event(String name, int attempt, int seq) {
        return """
                id: at-%d
                event: %s
                data: {"job":{"id":"j","event":"%s","seq":%d,"attempt":%d,"run":"r"},"error":{"message":"why"}}

                """.formatted(seq, name, name, seq, attempt);
    }

    private static final class Seen implements EventListener {
        final List<String> events = new ArrayList<>();
        final List<String> notes = new ArrayList<>();

        @Override
        public void on(ValidEvent event) {
            events.add(event.mark().kind().wireName());
        }

        @Override
        public void note(String line) {
            notes.add(line);
        }
    }
}
