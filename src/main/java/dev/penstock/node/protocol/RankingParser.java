package dev.penstock.node.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Answer;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.protocol.answer.DocumentParser;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Parses the answer to a ranking of documents, or to a score of pairs of texts. A server may compute scores by a
 * ranking, so the parser reads both forms for both tasks. The order of the answer, its length, and the texts of the
 * documents come from the request: servers differ in them.
 */
final class RankingParser extends DocumentParser {
    private final boolean ranking;
    private final boolean withDocuments;
    private final List<String> texts;
    private final int most;

    RankingParser(Prompt prompt) {
        Map<String, Object> asked = prompt.asked();
        ranking = prompt.task() == Task.RERANK;
        withDocuments = ranking && !Boolean.FALSE.equals(asked.get("return_documents"));
        texts = texts(asked.get(ranking ? "documents" : "text_2"));
        most = ranking && asked.get("top_n") instanceof Number top
                ? (int) Math.min(texts.size(), top.longValue())
                : texts.size();
    }

    /** Returns texts that are given as one text, as a list of texts, or as a list of objects with the field text. */
    static List<String> texts(@Nullable Object given) {
        List<?> all = given instanceof List<?> list ? list : given == null ? List.of() : List.of(given);
        return all.stream()
                .map(one -> String.valueOf(one instanceof Map<?, ?> fields ? fields.get("text") : one))
                .toList();
    }

    @Override
    protected Results results(JsonNode json) throws Unusable {
        Map<Integer, Double> found = new TreeMap<>();
        for (JsonNode item : json.path("results").isArray() ? json.path("results") : json.path("data")) {
            JsonNode index = item.path("index");
            if (!index.isIntegralNumber() || index.longValue() < 0 || index.longValue() >= texts.size()) {
                throw new Unusable("sent a score for text %s of %d".formatted(shown(index), texts.size()));
            }
            JsonNode score = item.has("relevance_score") ? item.get("relevance_score") : item.path("score");
            if (!score.isNumber() || !Double.isFinite(score.doubleValue())) {
                throw new Unusable("sent no score for text %s: %s".formatted(index, shown(score)));
            }
            if (found.put(index.intValue(), score.doubleValue()) != null) {
                throw new Unusable("sent two scores for text " + index);
            }
        }
        if (found.size() < most) {
            throw new Unusable("sent %d scores for %d texts".formatted(found.size(), most));
        }
        List<Answer.Score> scores = new ArrayList<>();
        found.forEach(
                (index, value) -> scores.add(new Answer.Score(index, value, withDocuments ? texts.get(index) : null)));
        if (ranking) {
            scores.sort(Comparator.comparingDouble(Answer.Score::value).reversed());
        }
        List<TokenEvent> events = new ArrayList<>();
        scores.stream().limit(most).map(TokenEvent.Scored::new).forEach(events::add);
        return new Results(events, usage(json.path("usage")));
    }

    /** Some servers report only the sum, which has no other tokens than those of the texts. */
    private static Usage usage(JsonNode usage) {
        long prompt = usage.path("prompt_tokens").asLong();
        return new Usage(prompt > 0 ? prompt : usage.path("total_tokens").asLong(), 0);
    }
}
