package dev.penstock.wire.document;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.testkit.WireSchemas;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ScoreDocumentTest {
    private static final WireSchemas SCHEMAS = new WireSchemas();
    private static final String USAGE = "\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":0,\"total_tokens\":19}";
    private static final String RANKING =
            "\"id\":\"rerank-j\",\"model\":\"m\",\"results\":[{\"index\":1,\"document\":{\"text\":\"b\"},\"relevance_score\":0.9299039840698242},{\"index\":0,\"relevance_score\":-3.5}],"
                    + USAGE;
    private static final String PAIRS =
            "\"id\":\"score-j\",\"object\":\"list\",\"created\":7,\"model\":\"m\",\"data\":[{\"index\":0,\"object\":\"score\",\"score\":0.25}],"
                    + USAGE;

    private static Answer answer(Task task, Answer.Score... scores) {
        Answer.Builder builder = new Answer.Builder();
        for (Answer.Score score : scores) {
            builder.add(new TokenEvent.Scored(score));
        }
        builder.add(new TokenEvent.Spent(new Usage(19, 0)));
        return builder.build(new Answer.Head(task.idPrefix() + "j", 7, "m", task));
    }

    private static Answer ranking() {
        return answer(Task.RERANK, new Answer.Score(1, 0.9299039840698242, "b"), new Answer.Score(0, -3.5, null));
    }

    private static Answer pairs() {
        return answer(Task.SCORE, new Answer.Score(0, 0.25, null));
    }

    @Test
    void a_ranking_and_scores_have_the_form_of_their_servers() {
        assertThat(new String(ScoreDocument.of(ranking()), StandardCharsets.UTF_8))
                .isEqualTo("{" + RANKING + "}");
        assertThat(new String(ScoreDocument.of(pairs()), StandardCharsets.UTF_8))
                .isEqualTo("{" + PAIRS + "}");
    }

    @Test
    void the_outcome_of_a_job_has_the_same_fields_beside_its_own() {
        for (Map.Entry<Answer, String> answer :
                Map.of(ranking(), RANKING, pairs(), PAIRS).entrySet()) {
            JobEvent.Completed completed = new JobEvent.Completed(
                    answer.getKey(),
                    false,
                    new JobEvent.Execution("gpu-a", "vllm", "m", 1, 2L, 3, 1, List.of(), List.of(), null, 0),
                    Map.of());

            String event = new String(
                    EventDocument.write(new JobId("j"), new EventMark(completed.kind(), 1, "run1", 1), completed),
                    StandardCharsets.UTF_8);

            SCHEMAS.check("event.schema.json", event);
            assertThat(event).startsWith("{\"job\":{").endsWith("}," + answer.getValue() + "}");
        }
    }
}
