package dev.penstock.testkit.upstream;

import static dev.penstock.testkit.upstream.Dialect.quoted;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Rankings and scores that identify their texts, in the documents of the servers. */
public final class Scores {
    private Scores() {}

    /** Returns the score of two texts. A longer second text has a higher score. */
    public static double of(String one, String other) {
        return 1 - 1 / (1.0 + other.length()) + Math.floorMod(one.hashCode(), 1_000) / 1e9;
    }

    /** Returns whether a request asks for a ranking or for scores. */
    static boolean isAskedBy(UpstreamRequest request) {
        return request.path().equals("/v1/rerank") || request.path().equals("/v1/score");
    }

    /** Returns the whole answer. Only vLLM returns the documents, and only vLLM compares any pairs. */
    static String document(UpstreamRequest request, Flavour flavour) {
        return request.path().equals("/v1/rerank") ? ranking(request, flavour) : scores(request);
    }

    private static String ranking(UpstreamRequest request, Flavour flavour) {
        List<String> documents = texts(request.body().path("documents"));
        String query = request.body().path("query").textValue();
        int most = request.body().path("top_n").asInt(documents.size());
        String results = IntStream.range(0, documents.size())
                .boxed()
                .sorted(Comparator.comparingDouble((Integer index) -> of(query, documents.get(index)))
                        .reversed())
                .limit(most)
                .map(index -> "{\"index\":" + index
                        + (flavour == Flavour.VLLM
                                ? ",\"document\":{\"text\":" + quoted(documents.get(index)) + ",\"multi_modal\":null}"
                                : "")
                        + ",\"relevance_score\":" + of(query, documents.get(index)) + "}")
                .collect(Collectors.joining(",", "\"results\":[", "]"));
        String usage =
                "\"usage\":{\"prompt_tokens\":" + documents.size() + ",\"total_tokens\":" + documents.size() + "},";
        return flavour == Flavour.VLLM
                ? "{\"id\":\"score-" + request.sequence() + "\",\"model\":" + quoted(request.model()) + "," + usage
                        + results + "}"
                : "{\"model\":" + quoted(request.model()) + ",\"object\":\"list\"," + usage + results + "}";
    }

    private static String scores(UpstreamRequest request) {
        List<String> ones = texts(request.body().path("text_1"));
        List<String> others = texts(request.body().path("text_2"));
        String data = IntStream.range(0, others.size())
                .mapToObj(index -> "{\"index\":" + index + ",\"object\":\"score\",\"score\":"
                        + of(ones.get(ones.size() == 1 ? 0 : index), others.get(index)) + "}")
                .collect(Collectors.joining(",", "\"data\":[", "]"));
        return "{\"id\":\"score-" + request.sequence() + "\",\"object\":\"list\",\"created\":1,\"model\":"
                + quoted(request.model()) + "," + data + ",\"usage\":{\"prompt_tokens\":" + others.size()
                + ",\"total_tokens\":" + others.size()
                + ",\"completion_tokens\":0,\"prompt_tokens_details\":null,\"completion_tokens_details\":null}}";
    }

    /** Takes only texts, as the servers do. */
    private static List<String> texts(JsonNode given) {
        if (given.isTextual()) {
            return List.of(given.textValue());
        }
        List<String> texts = new ArrayList<>();
        for (JsonNode one : given) {
            if (!one.isTextual()) {
                throw new IllegalArgumentException("no text: " + one);
            }
            texts.add(one.textValue());
        }
        return texts;
    }
}
