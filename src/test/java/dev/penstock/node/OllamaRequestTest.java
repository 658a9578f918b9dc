package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class OllamaRequestTest {
    private final ObjectMapper json = new ObjectMapper();

    @Test
    void openai_parameters_become_options() {
        JsonNode request = json.valueToTree(OllamaRequest.chat(
                Map.of(
                        "messages",
                        List.of(Map.of("role", "user", "content", "Hi")),
                        "max_tokens",
                        7,
                        "repetition_penalty",
                        1.1,
                        "stop",
                        "END",
                        "response_format",
                        Map.of("type", "json_object")),
                "llama3.2:3b"));

        assertThat(request.path("model").asText()).isEqualTo("llama3.2:3b");
        assertThat(request.path("stream").asBoolean()).isTrue();
        assertThat(request.path("options").path("num_predict").asInt()).isEqualTo(7);
        assertThat(request.path("options").path("repeat_penalty").asDouble()).isEqualTo(1.1);
        assertThat(request.path("options").path("stop").get(0).asText()).isEqualTo("END");
        assertThat(request.path("format").asText()).isEqualTo("json");
    }

    @Test
    void content_parts_become_text_and_images_and_arguments_an_object() {
        JsonNode request = json.valueToTree(OllamaRequest.chat(
                Map.of(
                        "messages",
                        List.of(
                                Map.of(
                                        "role",
                                        "user",
                                        "content",
                                        List.of(
                                                Map.of("type", "text", "text", "What is "),
                                                Map.of("type", "text", "text", "this?"),
                                                Map.of(
                                                        "type",
                                                        "image_url",
                                                        "image_url",
                                                        Map.of("url", "data:image/png;base64,AAAA")))),
                                Map.of(
                                        "role",
                                        "assistant",
                                        "tool_calls",
                                        List.of(Map.of(
                                                "function",
                                                Map.of("name", "look", "arguments", "{\"at\":\"sky\"}")))))),
                "m"));

        JsonNode first = request.path("messages").get(0);
        assertThat(first.path("content").asText()).isEqualTo("What is this?");
        assertThat(first.path("images").get(0).asText()).isEqualTo("AAAA");
        JsonNode call =
                request.path("messages").get(1).path("tool_calls").get(0).path("function");
        assertThat(call.path("arguments").path("at").asText()).isEqualTo("sky");
    }
}
