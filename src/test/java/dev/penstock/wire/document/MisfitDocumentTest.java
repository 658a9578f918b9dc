package dev.penstock.wire.document;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.job.Priority;
import dev.penstock.job.Task;
import dev.penstock.testkit.WireSchemas;
import dev.penstock.wire.Json;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** What a reader sees of an answer that does not fit. */
class MisfitDocumentTest {
    private static final JobFailure FAILURE = JobFailure.misfit(
                    "it does not fit",
                    new JobFailure.Misfit("{}", List.of(new JobFailure.Misfit.Violation("/a", "is missing"))))
            .atNode("gpu-a");

    private final WireSchemas schemas = new WireSchemas();

    private static String event(JobFailure failure) {
        EventMark mark = new EventMark(EventMark.Kind.FAILED, 1, "run", 2);
        return new String(
                EventDocument.write(new JobId("j"), mark, new JobEvent.Failed(failure, null, Map.of())),
                StandardCharsets.UTF_8);
    }

    @Test
    void the_outcome_has_the_violations_and_the_text() {
        String event = event(FAILURE);

        schemas.check("event.schema.json", event);
        assertThat(schemas.parse(event).path("error")).isEqualTo(schemas.parse("""
                        {"message":"it does not fit","type":"server_error","code":"invalid_result","retryable":false,"node":"gpu-a",
                         "violations":[{"path":"/a","message":"is missing"}],"text":"{}"}"""));
    }

    @Test
    void the_schema_of_events_knows_these_fields() {
        ObjectNode event = (ObjectNode) schemas.parse(event(FAILURE));
        ((ObjectNode) event.path("error")).put("violations", "none");

        assertThatThrownBy(() -> schemas.check("event.schema.json", event.toString()))
                .isInstanceOf(AssertionError.class);
    }

    @Test
    void an_error_of_a_call_has_them_too() {
        String error = ErrorDocument.of(FAILURE).toString();

        schemas.check("error.schema.json", error);
        assertThat(schemas.parse(error).at("/error/violations/0/path").asText()).isEqualTo("/a");
        assertThat(schemas.parse(error).at("/error/text").asText()).isEqualTo("{}");
    }

    @Test
    void an_empty_text_is_left_out() {
        assertThat(schemas.parse(event(FAILURE.withoutText())).path("error").has("text"))
                .isFalse();
    }

    @Test
    void a_long_text_is_cut_but_not_inside_a_code_point() {
        String text = "x".repeat(JobFailure.Misfit.LONGEST_TEXT - 1) + "🌊".repeat(10);
        JobFailure.Misfit misfit = new JobFailure.Misfit(text, List.of(new JobFailure.Misfit.Violation("", "wrong")));

        assertThat(schemas.parse(event(JobFailure.misfit("no", misfit)))
                        .at("/error/text")
                        .asText())
                .isEqualTo("x".repeat(JobFailure.Misfit.LONGEST_TEXT - 1));
    }

    @Test
    void the_object_of_a_job_has_the_text_and_its_line_in_a_list_has_not() {
        String event = event(FAILURE);
        JsonNode error = Objects.requireNonNull(Json.parseLenient(event)).path("error");
        String kept = ErrorDocument.withoutText(error).toString();
        JobState state = new JobState(
                new JobId("j"),
                JobState.Status.FAILED,
                Task.CHAT,
                "m",
                Priority.NORMAL,
                "default",
                Instant.EPOCH,
                Instant.EPOCH,
                Instant.EPOCH,
                1,
                "gpu-a",
                "vllm",
                Map.of());

        ObjectNode whole = JobObject.of(state, null, null, new JobObject.Ending(event, kept, null), null);
        ObjectNode line = JobObject.of(state, null, null, new JobObject.Ending("", kept, null), null);

        schemas.check("job-object.schema.json", whole.toString());
        assertThat(whole.at("/error/text").asText()).isEqualTo("{}");
        assertThat(line.path("error").has("text")).isFalse();
        assertThat(line.at("/error/violations/0/message").asText()).isEqualTo("is missing");
    }

    @Test
    void a_job_document_of_the_schema_may_have_a_result() {
        schemas.check(
                "job.schema.json",
                "{\"prompt\":\"a\",\"job\":{\"result\":{\"schema\":{\"type\":\"object\"},\"repair\":2}}}");
        assertThat(IntStream.of(-1, 3))
                .allSatisfy(repair -> assertThatThrownBy(() -> schemas.check(
                                "job.schema.json",
                                "{\"prompt\":\"a\",\"job\":{\"result\":{\"schema\":{},\"repair\":%d}}}"
                                        .formatted(repair)))
                        .isInstanceOf(AssertionError.class));
    }
}
