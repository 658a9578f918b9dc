package dev.penstock.node.program;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.protocol.EmbeddingsParser;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.wire.Json;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/**
 * Reads the document that llama-embedding prints (observed with 0.7.0). The document has OpenAI's form, except for its
 * usage. Not thread-safe.
 */
final class EmbeddingOutput implements ProgramOutput {
    private static final Pattern PROMPT_TOKENS = Pattern.compile("prompt eval time = .*/ +(\\d+) tokens");

    private final EmbeddingsParser parser;
    private final ByteArrayOutputStream printed = new ByteArrayOutputStream();

    EmbeddingOutput(Prompt prompt) {
        // one process for all inputs, because a process for each batch would load the model again
        Prompt whole = new Prompt(
                prompt.task(),
                prompt.model(),
                prompt.asked(),
                prompt.defaults(),
                prompt.extraBody(),
                Integer.MAX_VALUE,
                null);
        parser = new EmbeddingsParser(whole, EmbeddingsParser.Shape.OPENAI, Integer.MAX_VALUE);
    }

    @Override
    public void piece(byte[] bytes, Consumer<TokenEvent> events) {
        printed.writeBytes(bytes);
    }

    @Override
    public boolean isAnswered() {
        return false;
    }

    @Override
    public boolean hidesInterrupt() {
        return false;
    }

    @Override
    public void end(int status, LastLines beside, Consumer<TokenEvent> events) {
        if (status != 0) {
            events.accept(new TokenEvent.Broken(ProgramFailure.of(status, beside.inShort(), false)));
            return;
        }
        String text = printed.toString(StandardCharsets.UTF_8);
        JsonNode document = Json.parseVectors(text);
        if (document instanceof ObjectNode object) {
            object.putObject("usage")
                    .put("prompt_tokens", beside.number(PROMPT_TOKENS).orElse(0));
            text = object.toString();
        }
        parser.line(text, events);
        parser.end(events);
    }
}
