package dev.penstock;

import static dev.penstock.DirectCallsRig.CHAT;
import static dev.penstock.DirectCallsRig.JSON;
import static dev.penstock.DirectCallsRig.PATIENCE;
import static dev.penstock.DirectCallsRig.SCHEMAS;
import static dev.penstock.DirectCallsRig.WHOLE;
import static dev.penstock.DirectCallsRig.chat;
import static dev.penstock.DirectCallsRig.documents;
import static dev.penstock.DirectCallsRig.text;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.testkit.Conditions;
import dev.penstock.testkit.Records;
import dev.penstock.testkit.Rest;
import dev.penstock.testkit.upstream.Answer;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Direct calls over real connections: OpenAI's endpoints, streamed and not. */
@Timeout(180)
class DirectCallsIT {
    private static final String TOOL_ANSWER = """
            {"id":"x","object":"chat.completion","created":1,"model":"tiny","choices":[{"index":0,"message":{"role":"assistant",
            "content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather",
            "arguments":"{\\"city\\":\\"Rome\\"}"}}]},"finish_reason":"tool_calls"}],
            "usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}""";

    private static DirectCallsRig rig;

    @BeforeAll
    static void start() throws InterruptedException {
        rig = new DirectCallsRig();
    }

    @AfterAll
    static void stop() {
        rig.close();
    }

    @BeforeEach
    void reset() {
        rig.reset();
    }

    @Test
    void a_chat_is_answered_as_openai_does_with_headers_of_penstock() throws InterruptedException {
        Rest.Reply reply = rig.post(CHAT, chat("Hi", ""), "x-request-id", "mine-1", "x-penstock-priority", "high");

        assertThat(reply.status()).as(reply.body()).isEqualTo(200);
        assertThat(reply.contentType()).startsWith(JSON);
        assertThat(reply.json().path("object").asText()).isEqualTo("chat.completion");
        assertThat(reply.json().at("/choices/0/message/content").asText()).isEqualTo(WHOLE);
        assertThat(reply.json().at("/choices/0/finish_reason").asText()).isEqualTo("stop");
        assertThat(reply.json().at("/usage/completion_tokens").asInt()).isEqualTo(50);
        assertThat(reply.json().has("job")).isFalse();
        assertThat(reply.headers().firstValue("x-penstock-node")).hasValue("fake");
        assertThat(reply.headers().firstValue("x-penstock-attempts")).hasValue("1");
        assertThat(reply.headers().firstValue("x-penstock-route")).hasValue("all");
        assertThat(reply.headers().firstValue("x-request-id")).hasValue("mine-1");
        rig.assertIdle();
    }

    @Test
    void a_stream_is_openais_own() throws InterruptedException {
        Rest.Reply reply = rig.post(CHAT, chat("Hi", ",\"stream\":true,\"stream_options\":{\"include_usage\":true}"));

        assertThat(reply.status()).as(reply.body()).isEqualTo(200);
        assertThat(reply.contentType()).startsWith("text/event-stream");
        assertThat(reply.headers().firstValue("x-penstock-node")).hasValue("fake");
        assertThat(reply.body()).endsWith("\n\ndata: [DONE]\n\n").doesNotContain("\"job\"");
        List<JsonNode> chunks = documents(reply.body());
        assertThat(chunks)
                .allSatisfy(chunk -> assertThat(chunk.path("object").asText()).isEqualTo("chat.completion.chunk"));
        assertThat(chunks.getFirst().at("/choices/0/delta/role").asText()).isEqualTo("assistant");
        assertThat(text(chunks)).isEqualTo(WHOLE);
        assertThat(chunks.get(chunks.size() - 2).at("/choices/0/finish_reason").asText())
                .isEqualTo("stop");
        assertThat(chunks.getLast().path("choices")).isEmpty();
        assertThat(chunks.getLast().at("/usage/completion_tokens").asInt()).isEqualTo(50);
        rig.assertIdle();
    }

    @Test
    void a_piece_reaches_the_client_before_the_next_one_exists() throws InterruptedException, IOException {
        rig.fake.script(_ -> Answer.of("one ", "two ", "three").every(Duration.ofMillis(700)));
        List<String> lines = new ArrayList<>();
        List<Long> sent = new ArrayList<>();

        HttpResponse<InputStream> stream = rig.open(chat("Hi", ",\"stream\":true"));
        try (BufferedReader reader = new BufferedReader(new InputStreamReader(stream.body(), StandardCharsets.UTF_8))) {
            String line;
            while ((line = reader.readLine()) != null) {
                if (line.contains("content")) {
                    lines.add(line);
                    sent.add(rig.fake.stats().tokens());
                }
            }
        }

        assertThat(lines).hasSize(3);
        assertThat(sent.getFirst())
                .as("tokens of the node when the first piece came")
                .isLessThan(3);
    }

    @Test
    void tools_completions_and_embeddings() throws InterruptedException {
        rig.fake.script(
                request -> request.prompt().contains("tool") ? Answer.document(200, TOOL_ANSWER) : Answer.of("a", "b"));

        String tools = ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\"}}]";
        Rest.Reply whole = rig.post(CHAT, chat("tool", tools));
        Rest.Reply stream = rig.post(CHAT, chat("tool", tools + ",\"stream\":true"));
        Rest.Reply completion = rig.post("/v1/completions", "{\"model\":\"tiny\",\"prompt\":\"Once\"}");
        Rest.Reply embeddings = rig.post("/v1/embeddings", "{\"model\":\"tiny\",\"input\":[\"a\",\"bc\"]}");

        assertThat(whole.json()
                        .at("/choices/0/message/tool_calls/0/function/name")
                        .asText())
                .as(whole.body())
                .isEqualTo("weather");
        assertThat(whole.json().at("/choices/0/finish_reason").asText()).isEqualTo("tool_calls");
        assertThat(documents(stream.body())
                        .getFirst()
                        .at("/choices/0/delta/tool_calls/0/id")
                        .asText())
                .as(stream.body())
                .isEqualTo("call_1");
        assertThat(completion.json().path("object").asText()).isEqualTo("text_completion");
        assertThat(completion.json().at("/choices/0/text").asText()).isEqualTo("ab");
        assertThat(embeddings.json().path("object").asText()).isEqualTo("list");
        assertThat(embeddings.json().path("data")).hasSize(2);
        assertThat(embeddings.json().at("/data/1/embedding/0").asDouble()).isEqualTo(2);
    }

    @Test
    void errors_have_the_status_of_their_code() throws InterruptedException {
        Rest.Reply unknown = rig.post(CHAT, chat("Hi", "").replace("tiny", "huge"));
        Rest.Reply noMessages = rig.post(CHAT, "{\"model\":\"tiny\"}");
        Rest.Reply noJson = rig.post(CHAT, "{");
        Rest.Reply header = rig.post(CHAT, chat("Hi", ""), "x-penstock-priority", "urgent");
        Rest.Reply noNode = rig.post(CHAT, chat("Hi", ",\"stream\":true"), "x-penstock-node", "other");
        rig.fake.script(_ -> Answer.refuse(400, "temperature must be less than 2"));
        Rest.Reply refused = rig.post(CHAT, chat("Hi", ",\"temperature\":7"));

        assertThat(unknown.status()).isEqualTo(404);
        assertThat(unknown.code()).isEqualTo("model_not_found");
        assertThat(noMessages.status()).isEqualTo(400);
        assertThat(noMessages.json().at("/error/param").asText()).isEqualTo("messages");
        assertThat(noJson.status()).isEqualTo(400);
        assertThat(header.status()).isEqualTo(400);
        assertThat(header.json().at("/error/param").asText()).isEqualTo("x-penstock-priority");
        assertThat(noNode.status()).isEqualTo(503);
        assertThat(noNode.code()).isEqualTo("no_node");
        assertThat(noNode.headers().firstValue("Retry-After")).isPresent();
        assertThat(refused.status()).isEqualTo(400);
        assertThat(refused.headers().firstValue("x-penstock-node")).hasValue("fake");
        for (Rest.Reply error : List.of(unknown, noMessages, noJson, header, noNode, refused)) {
            SCHEMAS.check("error.schema.json", error.body());
        }
    }

    @Test
    void each_call_leaves_a_usage_record() throws InterruptedException {
        Rest.Reply reply = rig.post(CHAT, chat("Hi", ""));
        String id = reply.headers().firstValue("x-request-id").orElseThrow();
        List<String> records = new ArrayList<>();

        Conditions.await(
                () -> {
                    records.clear();
                    Records.all(rig.broker.bootstrap(), "penstock-usage")
                            .forEach(record -> records.add(new String(record.value(), StandardCharsets.UTF_8)));
                    return records.stream().anyMatch(record -> record.contains(id));
                },
                PATIENCE,
                "no record of " + id);

        records.forEach(record -> SCHEMAS.check("usage.schema.json", record));
        JsonNode own = SCHEMAS.parse(records.stream()
                .filter(record -> record.contains(id))
                .findFirst()
                .orElseThrow());
        assertThat(own.path("outcome").asText()).isEqualTo("completed");
        assertThat(own.at("/usage/completion_tokens").asInt()).isEqualTo(50);
    }
}
