package dev.penstock.node;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.wire.Json;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * Reads the documents that answer one job's batches of inputs, one after the other: numbers and base64 become what the
 * job asked for, indexes and usage go on from batch to batch.
 */
final class EmbeddingsParser implements WireProtocol.AnswerParser {
    private final List<Integer> sizes;
    private final boolean base64;
    private final Shape shape;
    private final StringBuilder document = new StringBuilder();
    private final SaidModel model = new SaidModel();
    private int batch;
    private int before;
    private long promptTokens;

    /** How a backend writes its answer. */
    enum Shape {
        OPENAI,
        OLLAMA
    }

    EmbeddingsParser(Prompt prompt, Shape shape, int mostInputs) {
        sizes = sizes(inputs(prompt, mostInputs));
        base64 = "base64".equals(prompt.asked().get("encoding_format"));
        this.shape = shape;
    }

    /** The values of the field input, one for each request. */
    static List<Object> inputs(Prompt prompt, int mostInputs) {
        Object input = prompt.asked().get("input");
        boolean many = input instanceof List<?> list && !(list.getFirst() instanceof Number);
        if (!many || !(input instanceof List<?> list)) {
            return List.of(input == null ? "" : input);
        }
        int most = prompt.batch() > 0 ? prompt.batch() : mostInputs;
        List<Object> batches = new ArrayList<>();
        for (int start = 0; start < list.size(); start += most) {
            batches.add(List.copyOf(list.subList(start, Math.min(list.size(), start + most))));
        }
        return batches;
    }

    private static List<Integer> sizes(List<Object> inputs) {
        return inputs.stream()
                .map(input -> input instanceof List<?> list && !(list.getFirst() instanceof Number) ? list.size() : 1)
                .toList();
    }

    @Override
    public void line(String line, Consumer<TokenEvent> events) {
        document.append(line);
    }

    @Override
    public void end(Consumer<TokenEvent> events) {
        JsonNode parsed = Json.parseLenient(document.toString());
        JsonNode json = parsed == null ? MissingNode.getInstance() : parsed;
        document.setLength(0);
        TreeMap<Integer, Object> found = new TreeMap<>();
        if (shape == Shape.OPENAI) {
            for (JsonNode item : json.path("data")) {
                found.put(item.path("index").asInt(found.size()), as(item.path("embedding")));
            }
        } else {
            json.path("embeddings").forEach(vector -> found.put(found.size(), as(vector)));
        }
        int expected = sizes.get(batch++);
        if (found.size() != expected || found.lastKey() != expected - 1) {
            events.accept(new TokenEvent.Broken(JobFailure.of(
                    JobFailure.Code.STREAM_BROKEN,
                    "sent %d embeddings for %d inputs".formatted(found.size(), expected))));
            return;
        }
        model.tell(json.path("model"), events);
        found.forEach((index, value) -> events.accept(new TokenEvent.Embedding(before + index, value)));
        before += expected;
        promptTokens += shape == Shape.OPENAI
                ? json.path("usage").path("prompt_tokens").asLong()
                : json.path("prompt_eval_count").asLong();
        events.accept(new TokenEvent.Spent(new Usage(promptTokens, 0)));
        events.accept(new TokenEvent.End());
    }

    private Object as(JsonNode vector) {
        if (vector.isTextual() == base64) {
            return base64 ? vector.textValue() : vector;
        }
        if (base64) {
            ByteBuffer bytes = ByteBuffer.allocate(vector.size() * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            vector.forEach(number -> bytes.putFloat(number.floatValue()));
            return Base64.getEncoder().encodeToString(bytes.array());
        }
        ByteBuffer bytes =
                ByteBuffer.wrap(Base64.getDecoder().decode(vector.textValue())).order(ByteOrder.LITTLE_ENDIAN);
        List<Float> numbers = new ArrayList<>();
        while (bytes.remaining() >= Float.BYTES) {
            numbers.add(bytes.getFloat());
        }
        return numbers;
    }
}
