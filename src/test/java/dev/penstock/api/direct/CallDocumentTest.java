package dev.penstock.api.direct;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.JobDocument;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CallDocumentTest {
    private static final JobId ID = new JobId("call-1");
    private static final String CHAT = "'model':'llama','messages':[{'role':'user','content':'Hi'}]";
    private static final JobDocument.Defaults DEFAULTS =
            new JobDocument.Defaults(Priority.NORMAL, "default", Duration.ofMinutes(10), Duration.ofHours(1));

    private static JobDocument.Parsed parse(String fields, Map<String, List<String>> headers) {
        try {
            byte[] document = ("{" + fields.replace('\'', '"') + "}").getBytes(StandardCharsets.UTF_8);
            return CallDocument.parse(
                    (ObjectNode) Json.parseStrict(document),
                    name -> headers.getOrDefault(name, List.of()),
                    ID,
                    Instant.EPOCH,
                    DEFAULTS);
        } catch (Json.MalformedJson e) {
            throw new IllegalArgumentException(e);
        }
    }

    private static PromptJob job(String fields, Map<String, List<String>> headers) {
        return ((JobDocument.Parsed.Valid) parse(fields, headers)).job();
    }

    private static JobFailure refusal(String fields, Map<String, List<String>> headers) {
        return ((JobDocument.Parsed.Refused) parse(fields, headers)).failure();
    }

    @Test
    void a_request_of_openai_is_a_job_that_is_not_streamed() {
        PromptJob job = job(CHAT + ",'temperature':0.5,'stream':null,'metadata':{'a':'b'}", Map.of());

        assertThat(job.id()).isEqualTo(ID);
        assertThat(job.task()).isEqualTo(Task.CHAT);
        assertThat(job.stream()).isFalse();
        assertThat(job.priority()).isEqualTo(Priority.NORMAL);
        assertThat(job.timeout()).isEqualTo(Duration.ofMinutes(10));
        assertThat(job.metadata()).isEqualTo(Map.of("a", "b"));
        assertThat(job.body()).containsKeys("messages", "temperature").doesNotContainKey("job");
    }

    @Test
    void headers_stand_for_the_fields_of_a_job() {
        PromptJob job = job(
                CHAT + ",'stream':true,'job':{'max_attempts':1}",
                Map.of(
                        "x-penstock-priority", List.of("high"),
                        "x-penstock-timeout", List.of(" PT5M "),
                        "x-penstock-session", List.of("s"),
                        "x-penstock-pool", List.of("gpu"),
                        "x-penstock-node", List.of("gpu-a"),
                        "x-penstock-cache", List.of("off")));

        assertThat(job.stream()).isTrue();
        assertThat(job.priority()).isEqualTo(Priority.HIGH);
        assertThat(job.timeout()).isEqualTo(Duration.ofMinutes(5));
        assertThat(job.session()).isEqualTo("s");
        assertThat(job.pins()).isEqualTo(new PromptJob.Pins("gpu", "gpu-a"));
        assertThat(job.maxAttempts()).isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource({"flex, LOW", "priority, HIGH", "default, NORMAL", "auto, NORMAL"})
    void the_service_tier_decides_the_priority(String tier, Priority priority) {
        assertThat(job(CHAT + ",'service_tier':'" + tier + "'", Map.of()).priority())
                .isEqualTo(priority);
        assertThat(job(CHAT + ",'service_tier':'" + tier + "'", Map.of("x-penstock-priority", List.of("low")))
                        .priority())
                .as("the header goes first")
                .isEqualTo(Priority.LOW);
    }

    @Test
    void a_mistake_in_a_header_is_reported_by_the_name_of_the_header() {
        JobFailure failure = refusal(CHAT, Map.of("x-penstock-priority", List.of("urgent")));

        assertThat(failure.code()).isEqualTo(JobFailure.Code.INVALID_REQUEST);
        assertThat(failure.param()).isEqualTo("x-penstock-priority");
        assertThat(failure.message()).startsWith("x-penstock-priority: ").doesNotContain("job.priority");
        assertThat(refusal(CHAT, Map.of("x-penstock-cache", List.of("exact"))).param())
                .isEqualTo("x-penstock-cache");
    }

    @Test
    void a_header_stands_alone() {
        assertThat(refusal(CHAT, Map.of("x-penstock-node", List.of("a", "b"))).message())
                .isEqualTo("x-penstock-node: is given more than once");
        assertThat(refusal(CHAT + ",'job':{'node':'a'}", Map.of("x-penstock-node", List.of("a")))
                        .message())
                .isEqualTo("x-penstock-node: cannot stand beside job.node");
    }

    @Test
    void the_fields_that_belong_to_a_record_are_refused() {
        assertThat(refusal(CHAT + ",'job':{'id':'mine'}", Map.of()).param()).isEqualTo("job.id");
        assertThat(refusal(CHAT + ",'job':{'reply_topic':'mine'}", Map.of()).param())
                .isEqualTo("job.reply_topic");
        assertThat(refusal(CHAT + ",'job':7", Map.of()).param()).isEqualTo("job");
        assertThat(refusal(CHAT + ",'temperature':'hot'", Map.of()).param()).isEqualTo("temperature");
    }
}
