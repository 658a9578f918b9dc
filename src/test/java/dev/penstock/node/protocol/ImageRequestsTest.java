package dev.penstock.node.protocol;

import static dev.penstock.node.protocol.RequestRig.PNG;
import static dev.penstock.node.protocol.RequestRig.body;
import static dev.penstock.node.protocol.RequestRig.map;
import static dev.penstock.node.protocol.RequestRig.protocol;
import static dev.penstock.node.protocol.RequestRig.request;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Tests a request for tags, and a request with images, in each backend's own form. */
class ImageRequestsTest {
    @ParameterizedTest
    @CsvSource({
        "VLLM, /response_format/json_schema/schema/type",
        "OLLAMA, /format/type",
        "OPENAI, /response_format/json_schema/schema/type",
        "AZURE_OPENAI, /response_format/json_schema/schema/type",
        "ANTHROPIC, /output_config/format/schema/type",
        "LM_STUDIO, /response_format/json_schema/schema/type",
        "LLAMA_SERVER, /response_format/json_schema/schema/type"
    })
    void tags_are_requested_as_structured_output(Backend backend, String place) throws WireProtocol.Unsupported {
        WireProtocol.Request request = request(backend, Task.TAG, "{\"images\":[\"" + PNG + "\"]}");

        assertThat(body(request).at(place).asText()).isEqualTo("object");
        assertThat(request.ignored()).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(
            value = Backend.class,
            names = {"LLAMA_CLI", "OPENAI_COMPATIBLE"},
            mode = EnumSource.Mode.EXCLUDE)
    void tags_are_requested_without_a_schema_where_the_node_configures_text(Backend backend)
            throws WireProtocol.Unsupported {
        WireProtocol.Request request = protocol(backend)
                .request(Prompt.of(
                        Task.TAG,
                        "m",
                        map("{\"images\":[\"" + PNG + "\"]}"),
                        Map.of("response_format", Map.of("type", "text")),
                        Map.of(),
                        0));

        assertThat(body(request).toString()).doesNotContain("schema").doesNotContain("\"format\"");
        assertThat(request.ignored()).isEmpty();
    }

    @Test
    void a_server_that_may_know_no_schema_gets_a_request_for_tags_in_words_only() throws WireProtocol.Unsupported {
        JsonNode body = body(
                request(Backend.OPENAI_COMPATIBLE, Task.TAG, "{\"images\":[\"" + PNG + "\"],\"prompt\":\"Tags?\"}"));

        assertThat(body.has("response_format")).isFalse();
        assertThat(body.at("/messages/0/content/0/text").asText())
                .startsWith("Tags?")
                .contains("JSON");
    }

    @ParameterizedTest
    @EnumSource(value = Backend.class, mode = EnumSource.Mode.EXCLUDE, names = "LLAMA_CLI")
    void an_image_is_sent_in_each_ones_form(Backend backend) throws WireProtocol.Unsupported {
        JsonNode body = body(
                request(backend, Task.DESCRIBE, "{\"images\":[\"" + PNG + "\",\"data:image/jpeg;base64,/9j/AA==\"]}"));

        String first = switch (backend) {
            case OLLAMA -> "/messages/0/images/0";
            case ANTHROPIC -> "/messages/0/content/1/source/data";
            default -> "/messages/0/content/1/image_url/url";
        };
        assertThat(body.at(first).asText()).endsWith(PNG);
        assertThat(body.toString()).contains("/9j/AA==").contains("Describe these images.");
        if (backend == Backend.ANTHROPIC) {
            assertThat(body.at("/messages/0/content/1/source/media_type").asText())
                    .isEqualTo("image/png");
            assertThat(body.at("/messages/0/content/2/source/media_type").asText())
                    .isEqualTo("image/jpeg");
        }
        if (backend == Backend.LLAMA_SERVER) {
            assertThat(body.path("cache_prompt").asBoolean(true)).isFalse();
        }
    }

    @Test
    void images_in_a_chat_take_no_cache_slot_either_and_text_does() throws WireProtocol.Unsupported {
        String image =
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}]}]}";
        String text = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}]}]}";

        assertThat(body(request(Backend.LLAMA_SERVER, Task.CHAT, image))
                        .path("cache_prompt")
                        .asBoolean(true))
                .isFalse();
        assertThat(body(request(Backend.LLAMA_SERVER, Task.CHAT, text)).has("cache_prompt"))
                .isFalse();
    }
}
