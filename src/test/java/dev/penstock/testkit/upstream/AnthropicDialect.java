package dev.penstock.testkit.upstream;

import static dev.penstock.testkit.upstream.Dialect.quoted;

import java.util.ArrayList;
import java.util.List;

/** Anthropic's messages API, according to its documentation; there is no recording of the service itself. */
final class AnthropicDialect implements Dialect {
    private final Said said;
    private final String date;
    /** Whether the text is under way, after the reasoning. */
    private boolean block;

    AnthropicDialect(Said said, String date) {
        this.said = said;
        this.date = date;
    }

    @Override
    public boolean headersAtOnce() {
        return true;
    }

    @Override
    public String streamHead(boolean last) {
        return Dialect.statusLine(200) + "\r\nDate: " + date
                + "\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\nrequest-id: req_"
                + said.id() + connection(last) + "\r\nTransfer-Encoding: chunked";
    }

    @Override
    public String head(int status, String contentType, int length, boolean last) {
        return Dialect.statusLine(status) + "\r\nDate: " + date + "\r\nContent-Type: " + contentType
                + "\r\nContent-Length: " + length + "\r\nrequest-id: req_" + said.id() + connection(last);
    }

    private static String connection(boolean last) {
        return last ? "\r\nConnection: close" : "\r\nConnection: keep-alive";
    }

    @Override
    public String json() {
        return "application/json";
    }

    @Override
    public boolean chunksDocument(int length) {
        return false;
    }

    @Override
    public List<String> token(Token token, boolean first, boolean last) {
        List<String> chunks = new ArrayList<>();
        boolean thought = !said.text().reasoning().isEmpty();
        if (first) {
            chunks.add(opening());
            chunks.add(blockStart(0, token.reasoning()));
        } else if (thought && !token.reasoning() && !block) {
            chunks.add(blockStop(0) + blockStart(1, false));
        }
        block |= !token.reasoning();
        int index = thought && !token.reasoning() ? 1 : 0;
        String delta = token.reasoning()
                ? "{\"type\":\"thinking_delta\",\"thinking\":" + quoted(token.text()) + "}"
                : "{\"type\":\"text_delta\",\"text\":" + quoted(token.text()) + "}";
        chunks.add(event("content_block_delta", "\"index\":" + index + ",\"delta\":" + delta));
        return chunks;
    }

    private String opening() {
        return event(
                        "message_start",
                        "\"message\":{\"id\":\"msg_" + said.id()
                                + "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
                                + quoted(said.model())
                                + ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":"
                                + said.promptTokens()
                                + ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}}")
                + "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    }

    private static String blockStart(int index, boolean thinking) {
        return event(
                "content_block_start",
                "\"index\":" + index + ",\"content_block\":"
                        + (thinking
                                ? "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"
                                : "{\"type\":\"text\",\"text\":\"\"}"));
    }

    private static String blockStop(int index) {
        return event("content_block_stop", "\"index\":" + index);
    }

    @Override
    public List<String> end(Told told) {
        List<String> chunks = new ArrayList<>();
        if (told.tokens() == 0) {
            chunks.add(opening());
        } else {
            chunks.add(blockStop(told.reasoningTokens() > 0 && told.contentTokens() > 0 ? 1 : 0));
        }
        chunks.add(event(
                "message_delta",
                "\"delta\":{\"stop_reason\":\"" + stopReason()
                        + "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":" + told.tokens() + "}"));
        chunks.add("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        return chunks;
    }

    private String stopReason() {
        return switch (said.text().finishReason()) {
            case "stop" -> "end_turn";
            case "length" -> "max_tokens";
            case "tool_calls" -> "tool_use";
            default -> said.text().finishReason();
        };
    }

    @Override
    public List<String> failure(String message) {
        return List.of("event: error\ndata: " + error("overloaded_error", message) + "\n\n");
    }

    @Override
    public String whole(Told told) {
        return "{\"id\":\"msg_" + said.id() + "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
                + quoted(said.model()) + ",\"content\":[{\"type\":\"text\",\"text\":" + quoted(told.content())
                + "}],\"stop_reason\":\"" + stopReason() + "\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":"
                + said.promptTokens() + ",\"output_tokens\":" + told.tokens() + "}}";
    }

    @Override
    public String refusal(int status, String message) {
        return error(
                switch (status) {
                    case 401 -> "authentication_error";
                    case 403 -> "permission_error";
                    case 404 -> "not_found_error";
                    case 413 -> "request_too_large";
                    case 429 -> "rate_limit_error";
                    case 500 -> "api_error";
                    case 503, 529 -> "overloaded_error";
                    default -> "invalid_request_error";
                },
                message);
    }

    private String error(String type, String message) {
        return "{\"type\":\"error\",\"error\":{\"type\":\"" + type + "\",\"message\":" + quoted(message)
                + "},\"request_id\":\"req_" + said.id() + "\"}";
    }

    @Override
    public String engineFailure() {
        return "Overloaded";
    }

    private static String event(String type, String fields) {
        return "event: " + type + "\ndata: {\"type\":\"" + type + "\"," + fields + "}\n\n";
    }
}
