package dev.penstock.testkit.upstream;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.util.List;

/**
 * How one server words its answers; the shapes are those of its recordings. A list has one string for each HTTP chunk.
 * Stateless but for what it was made from: one request.
 */
sealed interface Dialect
        permits VllmDialect, LlamaServerDialect, OllamaDialect, AnthropicDialect, AzureDialect, PullDialect {

    /** Whether the headers of a stream go out before its first token. */
    boolean headersAtOnce();

    /** Status line and headers of a streamed answer, without the empty line. */
    String streamHead(boolean last);

    /** Status line and headers of an answer with a body of this length, without the empty line. */
    String head(int status, String contentType, int length, boolean last);

    /** The content type of a JSON document. */
    String json();

    /** Whether a document of this length is sent in chunks. */
    boolean chunksDocument(int length);

    /**
     * @param first whether it is the first of the answer
     * @param last whether the whole answer ends with it
     */
    List<String> token(Token token, boolean first, boolean last);

    /** Finish reason, usage and end mark. */
    List<String> end(Told told);

    /** What goes out when the engine fails in mid-stream. */
    List<String> failure(String message);

    /** The answer that is not streamed. */
    String whole(Told told);

    /** An error document. */
    String refusal(int status, String message);

    /** What a client is told when the engine fails. */
    String engineFailure();

    record Token(String text, boolean reasoning) {}

    /**
     * What has been said so far.
     *
     * @param complete false: the answer breaks off here without an error
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
