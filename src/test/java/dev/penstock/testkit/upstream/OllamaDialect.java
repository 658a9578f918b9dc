package dev.penstock.testkit.upstream;

import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Ollama 0.33.0, its own API. */
final class OllamaDialect implements Dialect {
    static final String VERSION = "0.33.0-rc2";
    private static final int CHUNKED_ABOVE = 2048;

    private final Said said;
    private final String date;
    private final String start;

    OllamaDialect(Said said, String date) {
        this.said = said;
        this.date = date;
        this.start = "{\"model\":" + quoted(said.model()) + ",\"created_at\":\"" + said.at() + "\"";
    }

    @Override
    public boolean headersAtOnce() {
        return false;
    }

    @Override
    public String streamHead(boolean last) {
        return Dialect.statusLine(200) + "\r\nContent-Type: application/x-ndjson\r\nDate: " + date
                + (last ? "\r\nConnection: close" : "") + "\r\nTransfer-Encoding: chunked";
    }

    @Override
    public String head(int status, String contentType, int length, boolean last) {
        return Dialect.statusLine(status) + (length == 0 ? "" : "\r\nContent-Type: " + contentType) + "\r\nDate: "
                + date
                + (length > CHUNKED_ABOVE ? "" : "\r\nContent-Length: " + length)
                + (last ? "\r\nConnection: close" : "")
                + (length > CHUNKED_ABOVE ? "\r\nTransfer-Encoding: chunked" : "");
    }

    @Override
    public String json() {
        return "application/json; charset=utf-8";
    }

    @Override
    public boolean chunksDocument(int length) {
        return length > CHUNKED_ABOVE;
    }

    @Override
    public List<String> token(Token token, boolean first, boolean last) {
        return List.of(start + text(token.reasoning() ? token.text() : "", token.reasoning() ? "" : token.text())
                + ",\"done\":false}\n");
    }

    @Override
    public List<String> end(Told told) {
        return List.of(start + text("", "") + done(told) + "}\n");
    }

    @Override
    public List<String> failure(String message) {
        return List.of("{\"error\":" + quoted(message) + "}\n");
    }

    @Override
    public String whole(Told told) {
        return start + text(told.reasoning(), told.content()) + (told.complete() ? done(told) : ",\"done\":false")
                + "}";
    }

    private String text(String thinking, String content) {
        String also = thinking.isEmpty() ? "" : ",\"thinking\":" + quoted(thinking);
        return said.plainText()
                ? ",\"response\":" + quoted(content) + also
                : ",\"message\":{\"role\":\"assistant\",\"content\":" + quoted(content) + also + "}";
    }

    private String done(Told told) {
        long each = 500_000;
        return ",\"done\":true,\"done_reason\":" + said.finishReason() + context(told) + ",\"total_duration\":"
                + each * (4L + told.tokens()) + ",\"load_duration\":" + 2 * each + ",\"prompt_eval_count\":"
                + said.promptTokens() + ",\"prompt_eval_duration\":" + each + ",\"eval_count\":" + told.tokens()
                + ",\"eval_duration\":" + each * told.tokens();
    }

    private String context(Told told) {
        if (!said.plainText() || said.request().body().path("raw").asBoolean(false)) {
            return "";
        }
        return IntStream.rangeClosed(1, said.promptTokens() + told.tokens())
                .mapToObj(Integer::toString)
                .collect(Collectors.joining(",", ",\"context\":[", "]"));
    }

    @Override
    public String refusal(int status, String message) {
        return "{\"error\":" + quoted(message) + "}";
    }

    @Override
    public String engineFailure() {
        return "an error was encountered while running the model: unexpected EOF";
    }

    /** Quotes a text as JSON, in the style of Go. */
    private static String quoted(String text) {
        return Dialect.quoted(text)
                .replace("<", "\\u003c")
                .replace(">", "\\u003e")
                .replace("&", "\\u0026")
                .replace("\u2028", "\\u2028")
                .replace("\u2029", "\\u2029");
    }
}
