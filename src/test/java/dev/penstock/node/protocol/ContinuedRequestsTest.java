package dev.penstock.node.protocol;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Tests each protocol's request for the rest of a published text. */
class ContinuedRequestsTest {
    private static final String CHAT = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":10}";
    private static final String LAST = "{\"role\":\"assistant\",\"content\":\" one\\n two\"}";

    private static Prompt prompt(Task task, String body) {
        return Prompt.of(task, "m", RequestRig.map(body), Map.of(), Map.of(), 0);
    }

    private static PublishedText published(String text) {
        return new PublishedText(
                text, new PublishedText.Place(1, 2), List.of(new PublishedText.Segment("a", "m", 1, 1, 4)));
    }

    private static JsonNode rest(Backend backend, Task task, String body) throws WireProtocol.Unsupported {
        return RequestRig.body(
                RequestRig.protocol(backend).request(prompt(task, body).continuing(published(" one\n two"))));
    }

    private static WireProtocol.Continues continues(Backend backend, Task task, String body) {
        return RequestRig.protocol(backend).continues(prompt(task, body), " one\n two");
    }

    @ParameterizedTest
    @CsvSource({
        "VLLM, SENDS_THE_REST, MAY",
        "LLAMA_SERVER, MAY_REPEAT, MAY",
        "OLLAMA, MAY_REPEAT, MAY",
        "ANTHROPIC, SENDS_THE_REST, MAY",
        "OPENAI, CANNOT, CANNOT",
        "AZURE_OPENAI, CANNOT, CANNOT",
        "LM_STUDIO, CANNOT, MAY",
        "OPENAI_COMPATIBLE, CANNOT, MAY"
    })
    void each_backend_continues_what_it_can(Backend backend, WireProtocol.Continues chat, String completion) {
        assertThat(continues(backend, Task.CHAT, CHAT)).isEqualTo(chat);
        assertThat(continues(backend, Task.COMPLETION, "{\"prompt\":\"Say:\"}") == WireProtocol.Continues.CANNOT)
                .isEqualTo(completion.equals("CANNOT"));
        assertThat(continues(backend, Task.EMBEDDINGS, "{\"input\":\"Hi\"}")).isEqualTo(WireProtocol.Continues.CANNOT);
    }

    @ParameterizedTest
    @CsvSource({"VLLM", "LLAMA_SERVER"})
    void a_chat_has_the_text_as_its_last_message_which_stays_open(Backend backend) throws WireProtocol.Unsupported {
        JsonNode body = rest(backend, Task.CHAT, CHAT);

        assertThat(body.path("messages")).hasSize(2);
        assertThat(body.at("/messages/1").toString())
                .isIn(LAST, "{\"content\":\" one\\n two\",\"role\":\"assistant\"}");
        assertThat(body.path("continue_final_message").asBoolean()).isTrue();
        assertThat(body.path("add_generation_prompt").asBoolean(true)).isFalse();
        assertThat(body.path("max_tokens").asInt()).isEqualTo(6);
    }

    @Test
    void ollama_and_anthropic_take_the_text_as_the_last_message() throws WireProtocol.Unsupported {
        JsonNode ollama = rest(Backend.OLLAMA, Task.CHAT, CHAT);
        assertThat(ollama.at("/messages/1/role").asText()).isEqualTo("assistant");
        assertThat(ollama.at("/messages/1/content").asText()).isEqualTo(" one\n two");
        assertThat(ollama.at("/options/num_predict").asInt()).isEqualTo(6);

        JsonNode anthropic = rest(Backend.ANTHROPIC, Task.CHAT, CHAT);
        assertThat(anthropic.at("/messages/1/content").asText()).isEqualTo(" one\n two");
        assertThat(anthropic.path("max_tokens").asInt()).isEqualTo(6);
        assertThat(rest(Backend.ANTHROPIC, Task.CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}")
                        .path("max_tokens")
                        .asInt())
                .as("its default, less the text")
                .isEqualTo(4092);
    }

    @ParameterizedTest
    @CsvSource({"VLLM", "LLAMA_SERVER", "LM_STUDIO", "OPENAI_COMPATIBLE"})
    void a_completion_goes_on_at_the_end_of_its_prompt(Backend backend) throws WireProtocol.Unsupported {
        assertThat(rest(backend, Task.COMPLETION, "{\"prompt\":\"Say:\",\"system\":\"Be brief.\"}")
                        .path("prompt")
                        .asText())
                .isEqualTo("Be brief.\n\nSay: one\n two");
        assertThat(rest(backend, Task.COMPLETION, "{\"prompt\":[\"Say:\"]}")
                        .path("prompt")
                        .asText())
                .isEqualTo("Say: one\n two");
        assertThat(continues(backend, Task.COMPLETION, "{\"prompt\":[\"a\",\"b\"]}"))
                .isEqualTo(WireProtocol.Continues.CANNOT);
    }

    @Test
    void the_rest_of_a_completion_at_ollama_is_a_chat_unless_it_is_raw() throws WireProtocol.Unsupported {
        String form = "{\"prompt\":\"Say:\",\"system\":\"Be brief.\",\"raw\":%s}";
        Prompt raw = prompt(Task.COMPLETION, form.formatted("true")).continuing(published(" one"));
        WireProtocol.Request rawRequest = RequestRig.protocol(Backend.OLLAMA).request(raw);
        assertThat(rawRequest.path()).isEqualTo("/api/generate");
        assertThat(RequestRig.body(rawRequest).path("prompt").asText()).isEqualTo("Say: one");

        Prompt plain = prompt(Task.COMPLETION, form.formatted("false")).continuing(published(" one"));
        WireProtocol.Request request = RequestRig.protocol(Backend.OLLAMA).request(plain);
        assertThat(request.path()).isEqualTo("/api/chat");
        JsonNode messages = RequestRig.body(request).path("messages");
        assertThat(messages.findValuesAsText("role")).containsExactly("system", "user", "assistant");
        assertThat(messages.findValuesAsText("content")).containsExactly("Be brief.", "Say:", " one");

        assertThat(continues(Backend.OLLAMA, Task.COMPLETION, "{\"prompt\":\"Say:\",\"suffix\":\"x\"}"))
                .isEqualTo(WireProtocol.Continues.CANNOT);
    }

    @Test
    void anthropic_continues_neither_after_white_space_nor_with_thinking() {
        WireProtocol anthropic = RequestRig.protocol(Backend.ANTHROPIC);
        assertThat(anthropic.continues(prompt(Task.CHAT, CHAT), "one ")).isEqualTo(WireProtocol.Continues.CANNOT);
        assertThat(anthropic.continues(
                        prompt(Task.CHAT, "{\"messages\":[],\"thinking\":{\"type\":\"enabled\"}}"), "one"))
                .isEqualTo(WireProtocol.Continues.CANNOT);
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "none",
            value = {
                "4, none, false",
                "5, none, true",
                "none, 4, false",
                "none, 9, true",
                "none, none, true",
                "-1, 4, true"
            })
    void a_text_has_tokens_left_if_its_limit_is_above_its_own(
            @Nullable Integer asked, @Nullable Integer configured, boolean expected) {
        Prompt prompt = Prompt.of(
                Task.CHAT,
                "m",
                asked == null ? Map.of() : Map.of("max_tokens", asked),
                configured == null ? Map.of() : Map.of("max_completion_tokens", configured),
                Map.of(),
                0);

        assertThat(prompt.continuing(published("x")).hasTokensLeft()).isEqualTo(expected);
    }
}
