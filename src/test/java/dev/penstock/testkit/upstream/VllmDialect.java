package dev.penstock.testkit.upstream;

import static dev.penstock.testkit.upstream.Dialect.orNull;
import static dev.penstock.testkit.upstream.Dialect.quoted;

import io.netty.handler.codec.http.HttpResponseStatus;
import java.util.ArrayList;
import java.util.List;

/** vLLM 0.32.0. */
final class VllmDialect implements Dialect {
    static final String VERSION = "0.32.0";
    private static final String FINGERPRINT = ",\"system_fingerprint\":\"vllm-0.32.0-f90ed109\"";

    private final Said said;
    private final String date;
    private final String start;

    VllmDialect(Said said, String date) {
        this.said = said;
        this.date = date;
        String what = said.plainText() ? "text_completion" : "chat.completion.chunk";
        this.start = start(what);
    }

    private String start(String what) {
        return "{\"id\":\"" + (said.plainText() ? "cmpl-" : "chatcmpl-") + said.id() + "\",\"object\":\"" + what
                + "\",\"created\":" + said.at().getEpochSecond() + ",\"model\":" + quoted(said.model())
                + ",\"choices\":[";
    }

    @Override
    public boolean headersAtOnce() {
        return true;
    }

    @Override
    public String streamHead(boolean last) {
        return Dialect.statusLine(200) + "\r\ndate: " + date
                + "\r\nserver: uvicorn\r\ncontent-type: text/event-stream; charset=utf-8\r\nvary: Origin"
                + (last ? "\r\nconnection: close" : "") + "\r\ntransfer-encoding: chunked";
    }

    @Override
    public String head(int status, String contentType, int length, boolean last) {
        return Dialect.statusLine(status) + "\r\ndate: " + date + "\r\nserver: uvicorn\r\ncontent-length: " + length
                + (length == 0 ? "" : "\r\ncontent-type: " + contentType) + "\r\nvary: Origin"
                + (last ? "\r\nconnection: close" : "");
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
        if (first) {
            opening(chunks);
        }
        for (int i = 0; i < said.request().choices(); i++) {
            chunks.add(choice(i, token, last && endsWithText() ? said.finishReason() : "null"));
        }
        return chunks;
    }

    @Override
    public List<String> end(Told told) {
        List<String> chunks = new ArrayList<>();
        if (told.tokens() == 0) {
            opening(chunks);
        }
        if (told.tokens() == 0 || !endsWithText()) {
            for (int i = 0; i < said.request().choices(); i++) {
                chunks.add(choice(i, new Token("", false), said.finishReason()));
            }
        }
        if (said.request().wantsUsage()) {
            chunks.add(event(start + "],\"usage\":{" + usage(told) + reasoningTokens(told) + "}" + FINGERPRINT + "}"));
        }
        chunks.add(event("[DONE]"));
        return chunks;
    }

    /** At the limit of tokens the finish reason comes with the last token, else in a chunk of its own. */
    private boolean endsWithText() {
        return said.text().finishReason().equals("length");
    }

    private void opening(List<String> chunks) {
        for (int i = 0; i < said.request().choices() && !said.plainText(); i++) {
            chunks.add(event(start + "{\"index\":" + i
                    + ",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}],"
                    + "\"prompt_token_ids\":null,\"prompt_text\":null}"));
        }
    }

    private String choice(int index, Token token, String finishReason) {
        boolean over = !finishReason.equals("null");
        String finish = ",\"logprobs\":null,\"finish_reason\":" + finishReason
                + (over || said.plainText() ? ",\"stop_reason\":null" : "")
                + (said.plainText() ? ",\"prompt_token_ids\":null" : "") + ",\"token_ids\":null}]"
                + (over && !said.request().wantsUsage() ? FINGERPRINT : "") + "}";
        String what = said.plainText()
                ? ",\"text\":" + quoted(token.text())
                : ",\"delta\":{\"" + (token.reasoning() ? "reasoning" : "content") + "\":" + quoted(token.text()) + "}";
        return event(start + "{\"index\":" + index + what + finish);
    }

    private String usage(Told told) {
        int completion = told.tokens() * said.request().choices();
        return "\"prompt_tokens\":" + said.promptTokens() + ",\"total_tokens\":" + (said.promptTokens() + completion)
                + ",\"completion_tokens\":" + completion;
    }

    private static String reasoningTokens(Told told) {
        return told.reasoningTokens() == 0
                ? ""
                : ",\"completion_tokens_details\":{\"reasoning_tokens\":" + told.reasoningTokens() + "}";
    }

    @Override
    public List<String> failure(String message) {
        return List.of(
                event("{\"error\": {\"message\": " + quoted(message)
                        + ", \"type\": \"InternalServerError\", \"param\": null, \"code\": 500}}"),
                event("[DONE]"));
    }

    @Override
    public String whole(Told told) {
        StringBuilder choices = new StringBuilder();
        for (int i = 0; i < said.request().choices(); i++) {
            choices.append(i == 0 ? "" : ",").append("{\"index\":").append(i);
            if (said.plainText()) {
                choices.append(",\"text\":").append(quoted(told.content()));
            } else {
                choices.append(",\"message\":{\"role\":\"assistant\",\"content\":")
                        .append(
                                told.content().isEmpty() && told.reasoningTokens() > 0
                                        ? "null"
                                        : quoted(told.content()))
                        .append(",\"refusal\":null,\"annotations\":null,\"audio\":null,\"function_call\":null,")
                        .append("\"reasoning\":")
                        .append(orNull(told.reasoning()))
                        .append('}');
            }
            choices.append(",\"logprobs\":null,\"finish_reason\":")
                    .append(told.complete() ? said.finishReason() : "null")
                    .append(",\"stop_reason\":null,\"token_ids\":null")
                    .append(said.plainText() ? ",\"prompt_logprobs\":null,\"prompt_token_ids\":null" : "")
                    .append(",\"routed_experts\":null}");
        }
        String details = told.reasoningTokens() == 0 ? ",\"completion_tokens_details\":null" : reasoningTokens(told);
        return start(said.plainText() ? "text_completion" : "chat.completion") + choices
                + "],\"service_tier\":null" + FINGERPRINT + ",\"usage\":{" + usage(told)
                + ",\"prompt_tokens_details\":null" + details + "},"
                + (said.plainText() ? "" : "\"prompt_logprobs\":null,\"prompt_token_ids\":null,\"prompt_text\":null,")
                + "\"kv_transfer_params\":null,\"ec_transfer_params\":null,\"metrics\":null}";
    }

    @Override
    public String refusal(int status, String message) {
        if (status == 401) {
            return "{\"error\":\"Unauthorized\"}";
        }
        String type = switch (status) {
            case 400 -> "BadRequestError";
            case 404 -> "NotFoundError";
            case 500 -> "InternalServerError";
            default -> HttpResponseStatus.valueOf(status).reasonPhrase();
        };
        return "{\"error\":{\"message\":" + quoted(message) + ",\"type\":" + quoted(type) + ",\"param\":"
                + (status == 404 ? "\"model\"" : "null") + ",\"code\":" + status + "}}";
    }

    @Override
    public String engineFailure() {
        return "EngineCore encountered an issue. See stack trace (above) for the root cause.";
    }

    private static String event(String data) {
        return "data: " + data + "\n\n";
    }
}
