package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.FakeNodes;
import dev.penstock.settings.read.TestSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Many jobs whose answers must fit a schema. */
@Timeout(120)
class ManyCheckedResultsTest {
    private static final String SCHEMA =
            "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"integer\"}}}";

    private static PromptJob.ResultRule rule(int repairs) {
        return new PromptJob.ResultRule(SCHEMA, repairs, false);
    }

    private static List<Object> messages(FakeNodes.Call call) {
        return List.copyOf((List<?>) call.prompt().asked().getOrDefault("messages", List.of()));
    }

    /** 200 jobs at a server that breaks the schema at a set rate: the script of each job decides over its outcome. */
    @Test
    void of_200_jobs_every_completed_one_fits_and_the_others_are_as_scripted() {
        ExecutionRig many = new ExecutionRig(TestSettings.node("a", "vllm", 64), TestSettings.node("b", "vllm", 64));
        Random random = new Random(18);
        double expectedMisfits = 0;
        List<ExecutionRig.Run> runs = new ArrayList<>();
        List<Integer> fitting = new ArrayList<>();
        List<Integer> repairs = new ArrayList<>();
        for (String node : List.of("a", "b")) {
            many.nodes.server(node).up("llama").onCall(call -> {
                // the first message tells which answer of this job fits
                int fits = Integer.parseInt(
                        String.valueOf(((Map<?, ?>) messages(call).getFirst()).get("content")));
                int number =
                        Integer.parseInt(String.valueOf(call.prompt().asked().get("seed")))
                                + (messages(call).size() > 1 ? lastNumber(call) : 0);
                call.answer(number == fits ? "{\"a\":%d}".formatted(number) : "{\"b\":%d}".formatted(number));
            });
        }
        for (int i = 0; i < 200; i++) {
            int fits = random.nextDouble() < 0.6 ? 1 : random.nextInt(2, 5);
            int allowed = random.nextInt(3);
            fitting.add(fits);
            repairs.add(allowed);
            expectedMisfits += Math.min(fits - 1, allowed + 1);
            runs.add(many.start(many.job()
                    .with("messages", List.of(Map.of("role", "user", "content", String.valueOf(fits))))
                    .with("seed", 1)
                    .result(rule(allowed))
                    .model("llama")));
        }

        for (int i = 0; i < 200; i++) {
            Outcome outcome = runs.get(i).outcome();
            int attempts = Math.min(fitting.get(i), repairs.get(i) + 1);
            assertThat(runs.get(i).execution.lastAttempt()).as("job " + i).isEqualTo(attempts);
            if (fitting.get(i) <= repairs.get(i) + 1) {
                assertThat(outcome.event())
                        .isInstanceOfSatisfying(
                                JobEvent.Completed.class,
                                completed -> assertThat(completed
                                                .answer()
                                                .choices()
                                                .getFirst()
                                                .text())
                                        .containsEntry(TokenEvent.Field.CONTENT, "{\"a\":%d}".formatted(attempts)));
            } else {
                assertThat(runs.get(i).failure().code()).isEqualTo(JobFailure.Code.INVALID_RESULT);
            }
        }
        assertThat(many.count("penstock.result.invalid")).isEqualTo(expectedMisfits);
        many.assertNothingHeld();
    }

    /** Returns the number in the answer that the request asks to correct. */
    private static int lastNumber(FakeNodes.Call call) {
        Map<?, ?> answer = (Map<?, ?>) messages(call).get(1);
        return Integer.parseInt(String.valueOf(answer.get("content")).replaceAll("\\D", ""));
    }
}
