package dev.penstock.testkit.upstream;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.util.List;

/**
 * The form of one server's answers. It matches the server's recordings. A list has one string for each HTTP chunk. A
 * dialect is created for one request, and has no other state.
 */
sealed interface Dialect
        permits VllmDialect, LlamaServerDialect, OllamaDialect, AnthropicDialect, AzureDialect, PullDialect {

    /** Returns whether the headers of a stream go out before its first token. */
    boolean headersAtOnce();

    /** Returns the status line and headers of a streamed answer, without the empty line. */
    String streamHead(boolean last);

    /** Returns the status line and headers of an answer with a body of this length, without the empty line. */
    String head(int status, String contentType, int length, boolean last);

    /** Returns the content type of a JSON document. */
    String json();

    /** Returns whether a document of this length goes out in chunks. */
    boolean chunksDocument(int length);

    /**
     * @param first whether it is the first token of the answer
     * @param last whether the whole answer ends with it
     */
    List<String> token(Token token, boolean first, boolean last);

    /** Returns finish reason, usage and end mark. */
    List<String> end(Told told);

    /** Returns the data of an engine failure in mid-stream. */
    List<String> failure(String message);

    /** Returns the answer that is not streamed. */
    String whole(Told told);

    /** Returns an error document. */
    String refusal(int status, String message);

    /** Returns the message of an engine failure. */
    String engineFailure();

    record Token(String text, boolean reasoning) {}

    /**
     * The answer so far.
     *
     * @param complete false if the answer breaks off here without an error
     */
    record Told(String reasoning, String content, int reasoningTokens, int contentTokens, boolean complete) {
        int tokens() {
            return reasoningTokens + contentTokens;
        }
    }

    static String statusLine(int status) {
        return "HTTP/1.1 " + status + " " + HttpResponseStatus.valueOf(status).reasonPhrase();
    }

    static String quoted(String text) {
        StringBuilder quoted = new StringBuilder(text.length() + 8).append('"');
        JsonStringEncoder.getInstance().quoteAsString(text, quoted);
        return quoted.append('"').toString();
    }

    static String orNull(String text) {
        return text.isEmpty() ? "null" : quoted(text);
    }
}
