package dev.penstock.testkit.upstream;

import java.util.ArrayList;
import java.util.List;

/** The progress messages of a pull in Ollama 0.33.0. A token is a line, and the end is its success. */
record PullDialect(OllamaDialect ollama) implements Dialect {
    private static final String DIGEST = "sha256:b9bfd93b356f020655ad08998ddfce041596608882bc1090708e729348ba814d";
    private static final long LAYER = 108_553_952;

    /** Returns the lines of a pull of one large layer in this number of steps. */
    static List<String> lines(int steps) {
        List<String> lines = new ArrayList<>();
        lines.add("{\"status\":\"pulling manifest\"}");
        for (int step = 1; step <= steps; step++) {
            lines.add("{\"status\":\"pulling b9bfd93b356f\",\"digest\":\"%s\",\"total\":%d,\"completed\":%d}"
                    .formatted(DIGEST, LAYER, LAYER * step / steps));
        }
        lines.add("{\"status\":\"verifying sha256 digest\"}");
        lines.add("{\"status\":\"writing manifest\"}");
        return lines;
    }

    @Override
    public boolean headersAtOnce() {
        return true;
    }

    @Override
    public String streamHead(boolean last) {
        return ollama.streamHead(last);
    }

    @Override
    public String head(int status, String contentType, int length, boolean last) {
        return ollama.head(status, contentType, length, last);
    }

    @Override
    public String json() {
        return ollama.json();
    }

    @Override
    public boolean chunksDocument(int length) {
        return ollama.chunksDocument(length);
    }

    @Override
    public List<String> token(Token token, boolean first, boolean last) {
        return List.of(token.text() + "\n");
    }

    @Override
    public List<String> end(Told told) {
        return List.of("{\"status\":\"success\"}\n");
    }

    @Override
    public List<String> failure(String message) {
        return ollama.failure(message);
    }

    @Override
    public String whole(Told told) {
        return "{\"status\":\"success\"}";
    }

    @Override
    public String refusal(int status, String message) {
        return ollama.refusal(status, message);
    }

    @Override
    public String engineFailure() {
        return "pull model manifest: file does not exist";
    }
}
