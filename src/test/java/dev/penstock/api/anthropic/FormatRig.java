package dev.penstock.api.anthropic;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Answer;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.Cutter;
import dev.penstock.node.protocol.answer.WholeCharacters;
import dev.penstock.settings.Backend;
import dev.penstock.settings.NodeSettings;
import dev.penstock.wire.Json;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Reads a server's answer, and writes it in Anthropic's form. */
final class FormatRig {
    static final Answer.Head HEAD = new Answer.Head("chatcmpl-1", 7, "m", Task.CHAT);

    /** From Anthropic's documentation: thinking, redacted thinking, text and a call. */
    static final String DOCUMENTED = """
            event: message_start
            data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":21,"cache_creation_input_tokens":188,"cache_read_input_tokens":1800,"output_tokens":1}}}

            event: ping
            data: {"type": "ping"}

            event: content_block_start
            data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me solve"}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":" this step by step"}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBCgIYAhIM1gbcDa9GJwZA"}}

            event: content_block_stop
            data: {"type":"content_block_stop","index":0}

            event: content_block_start
            data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"EmwKAhgBEgy3va3pzix"}}

            event: content_block_stop
            data: {"type":"content_block_stop","index":1}

            event: content_block_start
            data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Okay, I look."}}

            event: content_block_stop
            data: {"type":"content_block_stop","index":2}

            event: content_block_start
            data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_01","name":"get_weather","input":{}}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\\"location\\":"}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":" \\"Paris\\"}"}}

            event: content_block_stop
            data: {"type":"content_block_stop","index":3}

            event: content_block_start
            data: {"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"toolu_02","name":"get_time","input":{}}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":"{}"}}

            event: content_block_stop
            data: {"type":"content_block_stop","index":4}

            event: message_delta
            data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89}}

            event: message_stop
            data: {"type":"message_stop"}

            """;

    private FormatRig() {}

    static WireProtocol protocol(Backend backend) {
        return WireProtocol.of(NodeSettings.at(backend, URI.create("http://localhost")));
    }

    /** Returns the events of an answer's body. */
    static List<TokenEvent> parse(Backend backend, String body) {
        Prompt prompt = Prompt.of(
                Task.CHAT,
                "m",
                Map.of("messages", List.of(Map.of("role", "user", "content", "Hi"))),
                Map.of(),
                Map.of(),
                0);
        AnswerParser parser = protocol(backend).parser(prompt);
        List<TokenEvent> events = new ArrayList<>();
        WholeCharacters whole = new WholeCharacters(events::add);
        Cutter cutter = parser.cutter(1 << 20, whole);
        cutter.feed(body.getBytes(StandardCharsets.UTF_8));
        cutter.end();
        parser.end(whole);
        assertThat(events.getLast()).isInstanceOf(TokenEvent.End.class);
        return events;
    }

    static Answer answer(List<TokenEvent> events) {
        Answer.Builder builder = new Answer.Builder();
        events.forEach(builder::add);
        return builder.build(HEAD);
    }

    /** @param size the number of events in each piece */
    static StrictReader stream(List<TokenEvent> events, int size) {
        AnthropicFormat format = new AnthropicFormat();
        StringBuilder stream = new StringBuilder(format.begin(HEAD));
        for (int i = 0; i < events.size(); i += size) {
            stream.append(format.piece(HEAD, events.subList(i, Math.min(events.size(), i + size))));
        }
        return StrictReader.of(stream + format.end(answer(events)));
    }

    static JsonNode whole(Answer answer) {
        return json(new String(new AnthropicFormat().whole(answer), StandardCharsets.UTF_8));
    }

    static JsonNode json(String text) {
        return Objects.requireNonNull(Json.parseLenient(text), text);
    }
}
