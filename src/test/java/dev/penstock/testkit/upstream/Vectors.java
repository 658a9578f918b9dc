package dev.penstock.testkit.upstream;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** Embeddings that identify their inputs, in the documents of the servers. */
public final class Vectors {
    private Vectors() {}

    /** Returns the vector of one input: its length, its hash, and a fraction. */
    public static List<Float> of(String input) {
        return List.of((float) input.length(), (float) (input.hashCode() % 10_000), 0.25f);
    }

    /** Returns the whole answer to a request for embeddings. */
    static String document(UpstreamRequest request) {
        JsonNode input = request.body().path("input");
        List<String> inputs = new ArrayList<>();
        if (input.isArray() && !input.path(0).isNumber()) {
            input.forEach(item -> inputs.add(item.isTextual() ? item.textValue() : item.toString()));
        } else {
            inputs.add(input.isTextual() ? input.textValue() : input.toString());
        }
        if (request.path().startsWith("/api/")) {
            return "{\"model\":" + Dialect.quoted(request.model()) + ",\"embeddings\":["
                    + inputs.stream().map(Vectors::numbers).collect(Collectors.joining(","))
                    + "],\"total_duration\":1,\"load_duration\":1,\"prompt_eval_count\":" + inputs.size() + "}";
        }
        boolean base64 = request.body().path("encoding_format").asText("").equals("base64");
        List<String> data = new ArrayList<>();
        // the server decides the order, and the index identifies the input
        for (int i = inputs.size() - 1; i >= 0; i--) {
            data.add("{\"object\":\"embedding\",\"index\":" + i + ",\"embedding\":"
                    + (base64 ? "\"" + base64(inputs.get(i)) + "\"" : numbers(inputs.get(i))) + "}");
        }
        return "{\"object\":\"list\",\"model\":" + Dialect.quoted(request.model()) + ",\"data\":["
                + String.join(",", data) + "],\"usage\":{\"prompt_tokens\":" + inputs.size() + ",\"total_tokens\":"
                + inputs.size() + "}}";
    }

    private static String numbers(String input) {
        return of(input).stream()
                .map(number -> String.format(Locale.ROOT, "%s", number))
                .collect(Collectors.joining(",", "[", "]"));
    }

    private static String base64(String input) {
        List<Float> vector = of(input);
        ByteBuffer bytes = ByteBuffer.allocate(vector.size() * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        vector.forEach(bytes::putFloat);
        return Base64.getEncoder().encodeToString(bytes.array());
    }
}
