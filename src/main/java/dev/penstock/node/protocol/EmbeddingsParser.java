package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.protocol.answer.DocumentParser;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * Parses the answers to one job's batches of inputs. Each batch has one document as its answer. The parser converts
 * numbers and base64 to the requested format. Indexes and usage continue from batch to batch.
 */
public final class EmbeddingsParser extends DocumentParser {
    private final List<Integer> sizes;
    private final boolean base64;
    private final Shape shape;
    private int batch;
    private int before;
    private Usage spent = Usage.NONE;

    /** The form of a backend's answer. */
    public enum Shape {
        OPENAI,
        OLLAMA
    }

    public EmbeddingsParser(Prompt prompt, Shape shape, int mostInputs) {
        sizes = sizes(inputs(prompt, mostInputs));
        base64 = "base64".equals(prompt.asked().get("encoding_format"));
        this.shape = shape;
    }

    /** Returns the values of the field input, one for each request. */
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
    protected Results results(JsonNode json) throws Unusable {
        int expected = sizes.get(batch++);
        NavigableMap<Integer, Object> found = vectors(json);
        if (found.size() != expected || found.firstKey() != 0 || found.lastKey() != expected - 1) {
            throw new Unusable("sent %d embeddings for %d inputs".formatted(found.size(), expected));
        }
        List<TokenEvent> events = new ArrayList<>();
        found.forEach((index, value) -> events.add(new TokenEvent.Embedding(before + index, value)));
        before += expected;
        long reported = shape == Shape.OPENAI
                ? json.path("usage").path("prompt_tokens").asLong()
                : json.path("prompt_eval_count").asLong();
        spent = spent.plus(new Usage(reported, 0));
        return new Results(events, spent);
    }

    private NavigableMap<Integer, Object> vectors(JsonNode json) throws Unusable {
        NavigableMap<Integer, Object> found = new TreeMap<>();
        if (shape == Shape.OPENAI) {
            for (JsonNode item : json.path("data")) {
                int index = item.path("index").asInt(found.size());
                if (found.put(index, as(item.path("embedding"), before + index)) != null) {
                    throw new Unusable("sent two embeddings for input " + (before + index));
                }
            }
        } else {
            for (JsonNode vector : json.path("embeddings")) {
                found.put(found.size(), as(vector, before + found.size()));
            }
        }
        return found;
    }

    /**
     * Returns the vector in the requested format. It refuses an empty vector and values that are not finite numbers.
     */
    private Object as(JsonNode vector, int input) throws Unusable {
        if (vector.isTextual()) {
            List<Float> numbers = decoded(vector.textValue(), input);
            return base64 ? vector.textValue() : numbers;
        }
        if (!vector.isArray() || vector.isEmpty()) {
            throw new Unusable("sent no vector for input %d: %s".formatted(input, shown(vector)));
        }
        for (JsonNode number : vector) {
            if (!number.isNumber() || !Float.isFinite(number.floatValue())) {
                throw new Unusable(
                        "sent a vector that is not all numbers for input %d: %s".formatted(input, shown(number)));
            }
        }
        if (!base64) {
            return vector;
        }
        ByteBuffer bytes = ByteBuffer.allocate(vector.size() * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        vector.forEach(number -> bytes.putFloat(number.floatValue()));
        return Base64.getEncoder().encodeToString(bytes.array());
    }

    private static List<Float> decoded(String text, int input) throws Unusable {
        byte[] bytes;
        try {
            bytes = Base64.getDecoder().decode(text);
        } catch (IllegalArgumentException _) {
            throw new Unusable("sent a vector that is not base64 for input " + input);
        }
        if (bytes.length == 0 || bytes.length % Float.BYTES != 0) {
            throw new Unusable("sent a vector of %d bytes for input %d".formatted(bytes.length, input));
        }
        ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        List<Float> numbers = new ArrayList<>(bytes.length / Float.BYTES);
        while (buffer.hasRemaining()) {
            float number = buffer.getFloat();
            if (!Float.isFinite(number)) {
                throw new Unusable("sent a vector that is not all numbers for input %d: %s".formatted(input, number));
            }
            numbers.add(number);
        }
        return numbers;
    }
}
