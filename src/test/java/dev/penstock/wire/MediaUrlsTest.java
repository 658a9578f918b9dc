package dev.penstock.wire;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.wire.document.JobDocument;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests bodies that would make a model server open an address, or give access to its internals. */
class MediaUrlsTest {
    private static final JobDocument.Permissions SOME = new JobDocument.Permissions(
            Set.of("cache_salt"), new AllowedHosts(Set.of("images.example", "images.example:8443")), Set.of());

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"type":"image_url","image_url":{"url":"http://10.0.0.1/x.png"}}                | image_url.url
            {"type":"image_url","image_url":{"url":" HTTPS://evil.example/x.png"}}          | image_url.url
            {"type":"image_url","image_url":"http://evil.example/x.png"}                    | image_url
            {"type":"image_url","image_url":{"url":"//evil.example/x.png"}}                 | image_url.url
            {"type":"image_url","image_url":{"url":"/etc/passwd"}}                          | image_url.url
            {"type":"audio_url","audio_url":{"url":"ftp://evil.example/x"}}                 | audio_url.url
            {"type":"video_url","video_url":{"url":"file:///etc/passwd"}}                   | video_url.url
            {"type":"file","file":{"file_url":"gopher://evil.example/x"}}                   | file.file_url
            {"type":"file","file":{"file_data":"http://evil.example/x"}}                    | file.file_data
            {"type":"image","source":{"type":"url","url":"http://evil.example/x"}}          | source.url
            {"type":"new_kind","deeper":[{"anything":"http://evil.example/x"}]}             | deeper[0].anything
            {"type":"image_url","image_url":{"url":"https://images.example:9/x"}}           | image_url.url
            {"type":"image_url","image_url":{"url":"https://user@images.example/x"}}        | image_url.url
            {"type":"image_url","image_url":{"url":"https://images.example.evil.example/x"}} | image_url.url
            """)
    void an_address_in_a_part_is_refused_by_its_path(String part, String path) {
        JobDocument.Parsed parsed = parse(
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}," + part + "]}]}");

        assertThat(parsed).isInstanceOfSatisfying(JobDocument.Parsed.Refused.class, refused -> {
            assertThat(refused.failure().param()).isEqualTo("messages[0].content[1]." + path);
            assertThat(refused.failure().message()).contains("data: URL");
        });
    }

    /** A server must not get an address in any field of a message that it reads. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            "thinking_blocks":[{"type":"image","source":{"type":"url","url":"http://169.254.169.254/"}}] | thinking_blocks[0].source.url
            "own":{"media":[{"video":"/etc/passwd"}]}                                                    | own.media[0].video
            "own":[{"deep":{"anything":" file:/etc/passwd"}}]                                            | own[0].deep.anything
            "tool_calls":[{"id":"functions.look:0","image_url":"http://evil.example/x"}]                 | tool_calls[0].image_url
            """)
    void an_address_anywhere_in_a_message_is_refused_by_its_path(String field, String path) {
        assertThat(parse("{\"messages\":[{\"role\":\"assistant\"," + field + "}]}"))
                .isInstanceOfSatisfying(
                        JobDocument.Parsed.Refused.class,
                        refused -> assertThat(refused.failure().param()).isEqualTo("messages[0]." + path));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"functions.look:0\",\"type\":\"function\",\"function\":{\"name\":\"look\",\"arguments\":\"http://10.0.0.1/\"}}]}]}",
                "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"look\",\"arguments\":{\"url\":\"http://10.0.0.1/\"}}}]}]}",
                "{\"messages\":[{\"role\":\"assistant\",\"own\":{\"by\":\"team:7\",\"note\":\"Note: none\"}}]}",
                "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\",\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"url\":\"https://source.example/\"}}]}]}",
                "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\",\"provider_specific_fields\":{\"citations\":[\"https://source.example/\"]}}]}",
                "{\"messages\":[{\"role\":\"assistant\",\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":\"http://10.0.0.1/\",\"signature\":\"EqQB\"}]}]}",
                "{\"messages\":[{\"role\":\"user\",\"content\":\"see http://10.0.0.1/ please\"}]}",
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"http://10.0.0.1/\"}]}]}",
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}]}]}",
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\",\"format\":\"wav\"}}]}]}",
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://images.example/x.png\"}}]}]}",
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://images.example:8443/x\"}}]}]}",
                "{\"images\":[\"AAAA\",\"data:image/png;base64,AAAA\",\"http://images.example/x\"]}",
                "{\"prompt\":\"http://10.0.0.1/\"}"
            })
    void text_data_and_allowed_hosts_are_taken(String document) {
        assertThat(parse(document)).as(document).isInstanceOf(JobDocument.Parsed.Valid.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"http://10.0.0.1/x", "not base64!", "data:image/png,AAAA", "", "file:/etc/passwd"})
    void what_is_no_image_is_refused(String image) {
        assertThat(parse("{\"images\":[\"AAAA\",\"" + image + "\"]}"))
                .isInstanceOfSatisfying(
                        JobDocument.Parsed.Refused.class,
                        refused -> assertThat(refused.failure().param()).isEqualTo("images[1]"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "id_slot",
                "cache_prompt",
                "chat_template",
                "chat_template_kwargs",
                "priority",
                "request_id",
                "lora",
                "kv_transfer_params",
                "keep_alive",
                "options",
                "template"
            })
    void a_field_that_reaches_into_a_server_is_refused(String field) {
        assertThat(parse("{\"prompt\":\"x\",\"" + field + "\":1}"))
                .isInstanceOfSatisfying(JobDocument.Parsed.Refused.class, refused -> {
                    assertThat(refused.failure().param()).isEqualTo(field);
                    assertThat(refused.failure().message()).contains("penstock.jobs.allowed-fields");
                });
    }

    /** The cache of vLLM, and files under Penstock's own key at OpenAI and Anthropic. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"},"uuid":"theirs"} | uuid
            {"type":"file","file":{"file_id":"file-abc"}}                                         | file.file_id
            {"type":"document","source":{"type":"file","file_id":"file_011"}}                     | source.file_id
            {"type":"tool_result","content":[{"source":{"file_id":"file_011"}}]}                  | content[0].source.file_id
            """)
    void a_part_that_reaches_into_a_server_is_refused_by_its_path(String part, String path) {
        String job =
                "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}," + part + "]}]}";

        assertThat(parse(job)).isInstanceOfSatisfying(JobDocument.Parsed.Refused.class, refused -> {
            assertThat(refused.failure().code()).isEqualTo(JobFailure.Code.INVALID_REQUEST);
            assertThat(refused.failure().param()).isEqualTo("messages[0].content[1]." + path);
            assertThat(refused.failure().message()).contains("penstock.jobs.allowed-fields");
        });
        assertThat(parse(job, new JobDocument.Permissions(Set.of("uuid", "file_id"), AllowedHosts.NONE, Set.of())))
                .isInstanceOf(JobDocument.Parsed.Valid.class);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"read\",\"input\":{\"file_id\":\"file-abc\",\"uuid\":\"u\"}}",
                "{\"type\":\"text\",\"text\":\"a\",\"uuid\":null}",
                "{\"type\":\"text\",\"text\":\"file_id\"}"
            })
    void what_only_looks_like_it_passes(String part) {
        assertThat(parse("{\"messages\":[{\"role\":\"assistant\",\"content\":[" + part + "]}]}"))
                .isInstanceOf(JobDocument.Parsed.Valid.class);
    }

    @Test
    void unless_it_is_allowed() {
        assertThat(parse("{\"prompt\":\"x\",\"cache_salt\":\"s\"}")).isInstanceOf(JobDocument.Parsed.Valid.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"[]", "[\"a\",1]", "[1,\"a\"]", "[[1],[]]", "[[1],\"a\"]", "[{}]", "7", "{}"})
    void what_is_no_input_is_refused(String input) {
        assertThat(parse("{\"input\":" + input + "}")).as(input).isInstanceOf(JobDocument.Parsed.Refused.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {"\"a\"", "[\"a\",\"\"]", "[1,2]", "[[1,2],[3]]"})
    void texts_and_tokens_are_inputs(String input) {
        assertThat(parse("{\"input\":" + input + "}"))
                .isInstanceOfSatisfying(
                        JobDocument.Parsed.Valid.class,
                        valid -> assertThat(valid.job().stream()).isFalse());
    }

    private static JobDocument.Parsed parse(String document) {
        return parse(document, SOME);
    }

    private static JobDocument.Parsed parse(String document, JobDocument.Permissions permissions) {
        return JobDocument.parse(
                document.getBytes(StandardCharsets.UTF_8),
                new JobDocument.Arrival(null, new JobId("derived"), Instant.EPOCH),
                new JobDocument.Defaults(
                        Priority.NORMAL, "default", Duration.ofMinutes(10), Duration.ofHours(1), permissions));
    }
}
