package dev.penstock.testkit.upstream;

import static dev.penstock.testkit.upstream.Dialect.quoted;

import java.util.ArrayList;
import java.util.List;

/** llama-server of llama.cpp 0.7.0. */
final class LlamaServerDialect implements Dialect {
    private final Said said;

    LlamaServerDialect(Said said) {
        this.said = said;
    }

    @Override
    public boolean headersAtOnce() {
        return false;
    }

    @Override
    public String streamHead(boolean last) {
        return Dialect.statusLine(200)
                + "\r\nServer: llama.cpp\r\nAccess-Control-Allow-Origin: \r\nX-Accel-Buffering: no"
                + "\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked" + connection(last);
    }

    @Override
    public String head(int status, String contentType, int length, boolean last) {
        return Dialect.statusLine(status) + "\r\nServer: llama.cpp\r\nAccess-Control-Allow-Origin: \r\nContent-Type: "
                + contentType + "\r\nContent-Length: " + length + connection(last);
    }

    private static String connection(boolean last) {
        return last ? "\r\nConnection: close" : "\r\nKeep-Alive: timeout=5, max=100";
    }

    @Override
    public String json() {
        return "application/json; charset=utf-8";
    }

    @Override
    public boolean chunksDocument(int length) {
        return false;
    }

    @Override
    public List<String> token(Token token, boolean first, boolean last) {
        List<String> chunks = new ArrayList<>();
        for (int i = 0; i < said.request().choices(); i++) {
            String delta = said.plainText()
                    ? text(i, token.text(), "null")
                    : delta(
                            i,
                            "{\"" + (token.reasoning() ? "reasoning_content" : "content") + "\":" + quoted(token.text())
                                    + "}",
                            "null");
            chunks.add((first ? opening(i) : "") + event(delta + "}"));
        }
        return chunks;
    }

    @Override
    public List<String> end(Told told) {
        List<String> chunks = new ArrayList<>();
        boolean usage = said.request().wantsUsage() && !said.plainText();
        int choices = said.request().choices();
        for (int i = 0; i < choices; i++) {
            String chunk = told.tokens() == 0 ? opening(i) : "";
            if (said.plainText()) {
                chunk += event(text(i, "", said.finishReason()) + timings(told) + "}");
            } else if (usage) {
                chunk += event(delta(i, "{}", said.finishReason()) + "}");
                if (i == choices - 1) {
                    chunk += event("{\"choices\":[]," + meta("chat.completion.chunk") + "," + usage(told)
                            + timings(told) + "}");
                }
            } else {
                chunk += event(delta(i, "{}", said.finishReason()) + timings(told) + "}");
            }
            chunks.add(chunk);
        }
        chunks.add(event("[DONE]"));
        return chunks;
    }

    private String opening(int index) {
        return said.plainText() ? "" : event(delta(index, "{\"role\":\"assistant\",\"content\":null}", "null") + "}");
    }

    private String delta(int index, String delta, String finishReason) {
        return "{\"choices\":[{\"finish_reason\":" + finishReason + ",\"index\":" + index + ",\"delta\":" + delta
                + "}]," + meta("chat.completion.chunk");
    }

    private String text(int index, String text, String finishReason) {
        boolean over = !finishReason.equals("null");
        return "{\"choices\":[{\"text\":" + quoted(text) + ",\"index\":" + index
                + ",\"logprobs\":null,\"finish_reason\":"
                + finishReason + "}],\"created\":" + said.at().getEpochSecond() + ",\"model\":"
                + quoted(said.model()) + ",\"system_fingerprint\":\"b11669-Debian\",\"object\":\"text_completion\""
                + (over ? "," + usage(new Told("", "", 0, said.text().tokens().size(), true)) : "") + ",\"id\":\""
                + id() + "\"";
    }

    private String meta(String object) {
        return "\"created\":" + said.at().getEpochSecond() + ",\"id\":\"" + id() + "\",\"model\":"
                + quoted(said.model()) + ",\"system_fingerprint\":\"b11669-Debian\",\"object\":\"" + object + "\"";
    }

    private String id() {
        return "chatcmpl-" + said.id() + said.id();
    }

    private String usage(Told told) {
        int completion = told.tokens() * said.request().choices();
        return "\"usage\":{\"completion_tokens\":" + completion + ",\"prompt_tokens\":" + said.promptTokens()
                + ",\"total_tokens\":" + (said.promptTokens() + completion)
                + ",\"prompt_tokens_details\":{\"cached_tokens\":0}}";
    }

    private String timings(Told told) {
        return ",\"timings\":{\"cache_n\":0,\"prompt_n\":" + said.promptTokens()
                + ",\"prompt_ms\":0.5,\"prompt_per_token_ms\":0.5,\"prompt_per_second\":2000.0,\"predicted_n\":"
                + told.tokens() + ",\"predicted_ms\":0.5,\"predicted_per_token_ms\":0.5,"
                + "\"predicted_per_second\":2000.0}";
    }

    /** According to its source, without a recording: the error ends the stream, without {@code [DONE]}. */
    @Override
    public List<String> failure(String message) {
        return List.of(
                event("{\"error\":{\"code\":500,\"message\":" + quoted(message) + ",\"type\":\"server_error\"}}"));
    }

    @Override
    public String whole(Told told) {
        StringBuilder choices = new StringBuilder();
        for (int i = 0; i < said.request().choices(); i++) {
            String finish = told.complete() ? said.finishReason() : "null";
            choices.append(i == 0 ? "" : ",");
            if (said.plainText()) {
                choices.append("{\"text\":")
                        .append(quoted(told.content()))
                        .append(",\"index\":")
                        .append(i);
                choices.append(",\"logprobs\":null,\"finish_reason\":")
                        .append(finish)
                        .append('}');
            } else {
                choices.append("{\"finish_reason\":")
                        .append(finish)
                        .append(",\"index\":")
                        .append(i);
                choices.append(",\"message\":{\"role\":\"assistant\",\"content\":")
                        .append(quoted(told.content()));
                if (told.reasoningTokens() > 0) {
                    choices.append(",\"reasoning_content\":").append(quoted(told.reasoning()));
                }
                choices.append("}}");
            }
        }
        return "{\"choices\":[" + choices + "],\"created\":" + said.at().getEpochSecond() + ",\"model\":"
                + quoted(said.model()) + ",\"system_fingerprint\":\"b11669-Debian\",\"object\":\""
                + (said.plainText() ? "text_completion" : "chat.completion") + "\"," + usage(told) + ",\"id\":\""
                + id() + "\"" + timings(told) + "}";
    }

    @Override
    public String refusal(int status, String message) {
        String type = switch (status) {
            case 401 -> "authentication_error";
            case 403 -> "permission_error";
            case 404 -> "not_found_error";
            case 500 -> "server_error";
            case 501 -> "not_supported_error";
            case 503 -> "unavailable_error";
            default -> "invalid_request_error";
        };
        return "{\"error\":{\"message\":" + quoted(message) + ",\"type\":\"" + type + "\",\"code\":" + status + "}}";
    }

    @Override
    public String engineFailure() {
        return "Compute error.";
    }

    private static String event(String data) {
        return "data: " + data + "\n\n";
    }
}
