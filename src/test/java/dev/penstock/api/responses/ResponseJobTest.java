package dev.penstock.api.responses;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import dev.penstock.wire.document.JobDocument;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class ResponseJobTest {
    private static final String REQUEST =
            "{'model':'fast','input':'Hi','instructions':'Be brief.','background':true,'metadata':{'a':'b'},'tools':[{'type':'function','name':'f','parameters':{'type':'object'}}],'tool_choice':'auto','temperature':0.5,'reasoning':{'effort':'low'},'text':{'format':{'type':'json_object'}},'previous_response_id':'resp_0'}";

    private static JsonNode json(String text) {
        return Objects.requireNonNull(Json.parseLenient(text.replace('\'', '"')), text);
    }

    private static byte[] document(Map<String, String> routing) throws InvalidField {
        ObjectNode earlier = (ObjectNode) json("{'role':'assistant','content':'Hello.'}");
        return ResponseJob.document(ResponsesRequest.parse(json(REQUEST)), List.of(earlier), routing);
    }

    private static ResponseJob read(byte[] document) {
        return ResponseJob.read(new String(document, StandardCharsets.UTF_8)).orElseThrow();
    }

    @Test
    void the_document_is_a_valid_job_that_sends_nothing_of_its_own_to_the_node() throws InvalidField {
        JobDocument.Parsed parsed = JobDocument.parse(
                document(Map.of("priority", "low", "pool", "gpu")),
                new JobDocument.Arrival(null, new JobId("resp_1"), Instant.EPOCH),
                new JobDocument.Defaults(Priority.NORMAL, "default", Duration.ofMinutes(1), Duration.ofMinutes(2)));

        PromptJob job = ((JobDocument.Parsed.Valid) parsed).job();
        assertThat(job.id().value()).isEqualTo("resp_1");
        assertThat(job.task()).isEqualTo(Task.CHAT);
        assertThat(job.priority()).isEqualTo(Priority.LOW);
        assertThat(job.pins().pool()).isEqualTo("gpu");
        assertThat(job.stream()).isTrue();
        assertThat(job.metadata()).isEqualTo(Map.of("a", "b"));
        assertThat(job.body())
                .containsOnlyKeys(
                        "model",
                        "messages",
                        "stream",
                        "tools",
                        "tool_choice",
                        "temperature",
                        "reasoning_effort",
                        "response_format");
    }

    @Test
    void the_request_is_read_back_as_it_was() throws InvalidField {
        ResponseJob job = read(document(Map.of()));

        ObjectNode asked = (ObjectNode) json(REQUEST);
        asked.remove("input");
        asked.put("store", true);
        assertThat((JsonNode) job.asked()).isEqualTo(asked);
        assertThat(job.messages())
                .extracting(message -> message.path("role").asText())
                .containsExactly("assistant", "user");
    }

    @Test
    void the_conversation_has_the_answer_and_no_instructions() throws InvalidField {
        JsonNode outcome = json(
                "{'choices':[{'message':{'role':'assistant','content':null,'reasoning':'Hm.','tool_calls':[{'id':'c1','type':'function','function':{'name':'f','arguments':'{}'}}]}}]}");

        List<ObjectNode> conversation = read(document(Map.of())).conversation(outcome);

        assertThat(conversation)
                .extracting(message -> message.path("role").asText())
                .containsExactly("assistant", "user", "assistant");
        assertThat((JsonNode) conversation.getLast())
                .isEqualTo(
                        json(
                                "{'role':'assistant','content':null,'tool_calls':[{'id':'c1','type':'function','function':{'name':'f','arguments':'{}'}}]}"));
    }

    @Test
    void another_job_is_no_response() {
        assertThat(ResponseJob.read("{\"messages\":[],\"job\":{\"id\":\"resp_1\"}}"))
                .isEmpty();
        assertThat(ResponseJob.read("")).isEmpty();
    }

    @Test
    void headers_and_the_service_tier_route_the_job() {
        ObjectNode flex = (ObjectNode) json("{'service_tier':'flex'}");

        assertThat(CallRouting.of(Map.of("x-penstock-pool", "gpu")::get, flex))
                .isEqualTo(Map.of("pool", "gpu", "priority", "low"));
        assertThat(CallRouting.of(Map.of("x-penstock-priority", "high")::get, flex))
                .isEqualTo(Map.of("priority", "high"));
        assertThat(CallRouting.of(_ -> null, (ObjectNode) json("{'service_tier':'priority','job':{'priority':'low'}}")))
                .isEmpty();
        assertThat(CallRouting.of(_ -> null, (ObjectNode) json("{'service_tier':'default'}")))
                .isEmpty();
    }
}
