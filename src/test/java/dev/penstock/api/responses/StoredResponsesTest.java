package dev.penstock.api.responses;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.RecordPlace;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.ledger.row.JobRow;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.EventDocument;
import dev.penstock.wire.document.JobDocument;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Bytes;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Each state of a job is a state of its response. */
class StoredResponsesTest {
    private static final JobId ID = new JobId("resp_1");
    private static final Instant CREATED = Instant.ofEpochSecond(1_700_000_000);
    private static final RecordPlace RECORD = new RecordPlace("prompt-jobs", 0, 1);
    private static final Answer.Head HEAD = new Answer.Head("chatcmpl-1", 1_700_000_000, "llama", Task.CHAT);
    private static final JobEvent.Execution EXECUTION =
            new JobEvent.Execution("n", "vllm", "llama", 1, 2L, 3, 1, List.of(), List.of(), null, 0);

    private long offset = 10;

    private static JobRow accepted() {
        byte[] document = "{\"model\":\"fast\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"
                .getBytes(StandardCharsets.UTF_8);
        PromptJob job = ((JobDocument.Parsed.Valid) JobDocument.parse(
                        document,
                        new JobDocument.Arrival(null, ID, CREATED),
                        new JobDocument.Defaults(
                                Priority.NORMAL, "default", Duration.ofMinutes(1), Duration.ofMinutes(2))))
                .job();
        return JobRow.accepted(job, CREATED);
    }

    private JobRow after(JobRow row, int attempt, long seq, JobEvent event) {
        EventMark mark = new EventMark(event.kind(), attempt, "run", seq);
        return row.after(mark, offset++, 1_700_000_009_000L, Bytes.wrap(EventDocument.write(ID, mark, event)));
    }

    private JobRow running() {
        return after(
                accepted(), 1, 0, new JobEvent.Started("n", "vllm", "llama", Instant.EPOCH, RECORD, Map.of(), null));
    }

    private JobRow completed(String reason, boolean truncated) {
        Answer.Builder answer = new Answer.Builder();
        answer.add(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, "Hello"));
        answer.add(new TokenEvent.Finish(0, reason));
        answer.add(new TokenEvent.Spent(new Usage(3, 4, 1, 2)));
        JobEvent.Completed outcome = new JobEvent.Completed(answer.build(HEAD), false, EXECUTION, Map.of());
        return after(running(), 1, 1, truncated ? outcome.withoutText() : outcome);
    }

    private static ObjectNode shown(JobRow row) {
        ObjectNode asked = Json.mapper().createObjectNode().put("model", "fast").put("background", true);
        return StoredResponses.object(new ResponseHead(ID.value(), CREATED.getEpochSecond(), asked), row);
    }

    private static @Nullable JsonNode json(String text) {
        return Json.parseLenient(text.replace('\'', '"'));
    }

    @Test
    void a_job_that_waits_is_queued() {
        ObjectNode response = shown(accepted());

        assertThat(response.path("status").asText()).isEqualTo("queued");
        assertThat(response.path("model").asText()).isEqualTo("fast");
        assertThat(response.path("created_at").asLong()).isEqualTo(1_700_000_000);
        assertThat(response.path("output")).isEmpty();
        assertThat(response.path("usage").isNull()).isTrue();
    }

    @Test
    void a_job_that_runs_is_in_progress_with_the_model_of_its_node() {
        ObjectNode response = shown(running());

        assertThat(response.path("status").asText()).isEqualTo("in_progress");
        assertThat(response.path("model").asText()).isEqualTo("llama");
    }

    @Test
    void a_job_that_completed_is_completed() {
        ObjectNode response = shown(completed("stop", false));

        assertThat(response.path("status").asText()).isEqualTo("completed");
        assertThat(response.path("completed_at").asLong()).isEqualTo(1_700_000_009);
        assertThat(response.path("output"))
                .isEqualTo(
                        json(
                                "[{'id':'msg_1_0','type':'message','status':'completed','role':'assistant','content':[{'type':'output_text','text':'Hello','annotations':[],'logprobs':[]}]}]"));
        assertThat(response.path("usage"))
                .hasToString(
                        "{\"input_tokens\":3,\"input_tokens_details\":{\"cached_tokens\":1,\"cache_write_tokens\":0},\"output_tokens\":4,\"output_tokens_details\":{\"reasoning_tokens\":2},\"total_tokens\":7}");
        assertThat(response.has("truncated")).isFalse();
    }

    @Test
    void an_answer_that_reached_a_limit_is_incomplete() {
        assertThat(shown(completed("length", false)).path("incomplete_details"))
                .isEqualTo(json("{'reason':'max_output_tokens'}"));
        ObjectNode filtered = shown(completed("content_filter", false));
        assertThat(filtered.path("status").asText()).isEqualTo("incomplete");
        assertThat(filtered.path("incomplete_details")).isEqualTo(json("{'reason':'content_filter'}"));
        assertThat(filtered.path("completed_at").isNull()).isTrue();
    }

    @Test
    void an_answer_that_is_too_large_for_a_record_says_so() {
        assertThat(shown(completed("stop", true)).path("truncated").asBoolean()).isTrue();
    }

    @Test
    void a_job_that_failed_has_failed() {
        JobFailure failure = JobFailure.of(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED, "too long");

        ObjectNode response = shown(after(running(), 1, 1, new JobEvent.Failed(failure, EXECUTION, Map.of())));

        assertThat(response.path("status").asText()).isEqualTo("failed");
        assertThat(response.path("error"))
                .isEqualTo(json("{'code':'invalid_prompt','message':'too long','type':'context_length_exceeded'}"));
    }

    @Test
    void a_job_past_its_deadline_has_failed() {
        ObjectNode response = shown(after(accepted(), 0, 0, new JobEvent.Expired(null, Map.of())));

        assertThat(response.path("status").asText()).isEqualTo("failed");
        assertThat(response.path("error").path("type").asText()).isEqualTo("expired");
    }

    @Test
    void a_job_that_was_cancelled_is_cancelled() {
        ObjectNode response = shown(after(running(), 1, 1, new JobEvent.Cancelled(EXECUTION, Map.of())));

        assertThat(response.path("status").asText()).isEqualTo("cancelled");
        assertThat(response.path("error").isNull()).isTrue();
        assertThat(response.path("output")).isEmpty();
    }

    @Test
    void a_job_whose_record_was_refused_has_failed() {
        JobEvent.Rejected refusal =
                new JobEvent.Rejected(RECORD, RECORD, JobFailure.of(JobFailure.Code.TOO_LARGE, "too large"));
        EventMark mark = new EventMark(EventMark.Kind.REJECTED, 0, "run", 0);
        JobRow row = accepted().rejectedBy(10, 1_700_000_009_000L, Bytes.wrap(EventDocument.write(ID, mark, refusal)));

        ObjectNode response = shown(row);

        assertThat(response.path("status").asText()).isEqualTo("failed");
        assertThat(response.path("error").path("type").asText()).isEqualTo("too_large");
    }

    @Test
    void the_stream_and_the_object_of_the_same_job_have_the_same_output() {
        ObjectNode response = shown(completed("stop", false));

        assertThat((JsonNode) OutputEvents.of(
                                new ResponseHead(ID.value(), 0, Json.mapper().createObjectNode()),
                                List.of(
                                        new TokenEvent.Text(0, TokenEvent.Field.CONTENT, "Hel"),
                                        new TokenEvent.Text(0, TokenEvent.Field.CONTENT, "lo")))
                        .output())
                .isEqualTo(response.path("output"));
    }
}
