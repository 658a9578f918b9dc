package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.Cutter;
import dev.penstock.node.protocol.answer.LineSplitter;
import dev.penstock.node.protocol.answer.ReportedModel;
import dev.penstock.node.protocol.answer.ServerErrors;
import dev.penstock.wire.Json;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * Reads the documents that answer one job's batches of inputs, one after the other. It converts numbers and base64 to
 * the requested format. Indexes and usage continue from batch to batch.
 */
public final class EmbeddingsParser implements AnswerParser {
    /** The limit for one batch's document, because its text and its vectors are in memory together. */
    private static final int MOST_CHARS = 64 * 1024 * 1024;

    private static final int OPENING = 1000;

    private final List<Integer> sizes;
    private final boolean base64;
    private final Shape shape;
    private final StringBuilder document = new StringBuilder();
    private final ReportedModel model = new ReportedModel();
    private int batch;
    private int before;
    private Usage spent = Usage.NONE;
    private boolean broken;

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
    public Cutter cutter(int longest, Consumer<TokenEvent> events) {
        return new LineSplitter(longest, line -> line(line, events));
    }

    @Override
    public void line(String line, Consumer<TokenEvent> events) {
        if (broken) {
            return;
        }
        if (document.length() + line.length() > MOST_CHARS) {
            document.setLength(0);
            stop(events, JobFailure.Code.STREAM_BROKEN, "sent a document of more than " + MOST_CHARS + " characters");
            return;
        }
        document.append(line);
    }

    @Override
    public boolean readsAtEnd() {
        return true;
    }

    @Override
    public void end(Consumer<TokenEvent> events) {
        if (broken) {
            return;
        }
        JsonNode json = Json.parseVectors(document.toString());
        String opening = ServerErrors.shorten(document.substring(0, Math.min(document.length(), OPENING)));
        document.setLength(0);
        if (json == null || !json.isObject()) {
            stop(events, JobFailure.Code.STREAM_BROKEN, "sent what is no JSON object: " + opening);
            return;
        }
        if (ServerErrors.isError(json)) {
            stop(events, ServerErrors.midStream(json), ServerErrors.failing(json, false));
            return;
        }
        int expected = sizes.get(batch++);
        try {
            NavigableMap<Integer, Object> found = vectors(json);
            if (found.size() != expected || found.firstKey() != 0 || found.lastKey() != expected - 1) {
                throw new Unusable("sent %d embeddings for %d inputs".formatted(found.size(), expected));
            }
            model.report(json.path("model"), events);
            found.forEach((index, value) -> events.accept(new TokenEvent.Embedding(before + index, value)));
        } catch (Unusable e) {
            stop(events, JobFailure.Code.STREAM_BROKEN, String.valueOf(e.getMessage()));
            return;
        }
        before += expected;
        long reported = shape == Shape.OPENAI
                ? json.path("usage").path("prompt_tokens").asLong()
                : json.path("prompt_eval_count").asLong();
        spent = spent.plus(new Usage(reported, 0));
        events.accept(new TokenEvent.Spent(spent));
        events.accept(new TokenEvent.End());
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

    private static String shown(JsonNode value) {
        return value.isMissingNode() ? "none" : ServerErrors.shorten(value.toString());
    }

    private void stop(Consumer<TokenEvent> events, JobFailure.Code code, String message) {
        broken = true;
        events.accept(new TokenEvent.Broken(JobFailure.of(code, message)));
    }

    /** The reason why the vectors are unusable. */
    private static final class Unusable extends Exception {
        Unusable(String message) {
            super(message);
        }
    }
}
