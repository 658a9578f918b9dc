package dev.penstock.testkit.upstream;

import static dev.penstock.testkit.upstream.Dialect.quoted;

import java.util.ArrayList;
import java.util.List;

/**
 * Azure OpenAI, according to its documentation; there is no recording of the service itself. Filter results come
 * before and with the text.
 */
final class AzureDialect implements Dialect {
    private static final String SAFE =
            "{\"hate\":{\"filtered\":false,\"severity\":\"safe\"},\"violence\":{\"filtered\":false,\"severity\":\"safe\"}}";

    private final Said said;
    private final String date;

    AzureDialect(Said said, String date) {
        this.said = said;
        this.date = date;
    }

    @Override
    public boolean headersAtOnce() {
        return true;
    }

    @Override
    public String streamHead(boolean last) {
        return Dialect.statusLine(200)
                + "\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream; charset=utf-8"
                + "\r\napim-request-id: " + said.id() + "\r\nDate: " + date + connection(last);
    }

    @Override
    public String head(int status, String contentType, int length, boolean last) {
        return Dialect.statusLine(status) + "\r\nContent-Length: " + length + "\r\nContent-Type: " + contentType
                + "\r\napim-request-id: " + said.id() + "\r\nDate: " + date + connection(last);
    }

    private static String connection(boolean last) {
        return last ? "\r\nConnection: close" : "";
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
        String field = token.reasoning() ? "reasoning_content" : "content";
        String what = said.plainText()
                ? "\"text\":" + quoted(token.text())
                : "\"delta\":{\"" + field + "\":" + quoted(token.text()) + "}";
        chunks.add(chunk(
                "{\"content_filter_results\":" + SAFE + "," + what
                        + ",\"finish_reason\":null,\"index\":0,\"logprobs\":null}",
                "null"));
        return chunks;
    }

    private void opening(List<String> chunks) {
        chunks.add("data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\","
                + "\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":" + SAFE + "}]}\n\n");
        if (!said.plainText()) {
            chunks.add(chunk(
                    "{\"content_filter_results\":{},\"delta\":{\"content\":\"\",\"refusal\":null,\"role\":\"assistant\"},"
                            + "\"finish_reason\":null,\"index\":0,\"logprobs\":null}",
                    "null"));
        }
    }

    @Override
    public List<String> end(Told told) {
        List<String> chunks = new ArrayList<>();
        if (told.tokens() == 0) {
            opening(chunks);
        }
        chunks.add(chunk(
                "{\"content_filter_results\":{}," + (said.plainText() ? "\"text\":\"\"" : "\"delta\":{}")
                        + ",\"finish_reason\":" + said.finishReason() + ",\"index\":0,\"logprobs\":null}",
                "null"));
        if (said.request().wantsUsage()) {
            chunks.add(chunk("", usage(told)));
        }
        chunks.add("data: [DONE]\n\n");
        return chunks;
    }

    private String usage(Told told) {
        return "{\"completion_tokens\":" + told.tokens() + ",\"prompt_tokens\":" + said.promptTokens()
                + ",\"total_tokens\":" + (told.tokens() + said.promptTokens()) + "}";
    }

    private String chunk(String choice, String usage) {
        return "data: {\"choices\":[" + choice + "],\"created\":" + said.at().getEpochSecond() + ",\"id\":\"chatcmpl-"
                + said.id() + "\",\"model\":" + quoted(said.model()) + ",\"object\":\""
                + (said.plainText() ? "text_completion" : "chat.completion.chunk")
                + "\",\"system_fingerprint\":\"fp_" + said.id() + "\",\"usage\":" + usage + "}\n\n";
    }

    @Override
    public List<String> failure(String message) {
        return List.of("data: {\"error\":{\"code\":\"InternalServerError\",\"message\":" + quoted(message) + "}}\n\n");
    }

    @Override
    public String whole(Told told) {
        return "{\"choices\":[{\"content_filter_results\":" + SAFE + ",\"finish_reason\":" + said.finishReason()
                + ",\"index\":0,\"message\":{\"content\":" + quoted(told.content())
                + ",\"role\":\"assistant\"}}],\"created\":"
                + said.at().getEpochSecond() + ",\"id\":\"chatcmpl-" + said.id() + "\",\"model\":"
                + quoted(said.model())
                + ",\"object\":\"chat.completion\",\"usage\":" + usage(told) + "}";
    }

    @Override
    public String refusal(int status, String message) {
        String code = switch (status) {
            case 404 -> "DeploymentNotFound";
            case 503 -> "ServiceUnavailable";
            default -> Integer.toString(status);
        };
        return "{\"error\":{\"code\":\"" + code + "\",\"message\":" + quoted(message) + "}}";
    }

    @Override
    public String engineFailure() {
        return "The server had an error while processing your request. Sorry about that!";
    }
}
