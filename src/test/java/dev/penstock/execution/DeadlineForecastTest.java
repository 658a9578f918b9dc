package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.execution.time.DeadlineForecast;
import dev.penstock.job.JobEvent;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.node.RequestsInFlight;
import dev.penstock.route.balance.Length;
import dev.penstock.settings.Rule;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Predictions for a job with a prompt of 4,000 characters: 1,000 tokens. */
class DeadlineForecastTest {
    private final ExecutionRig rig = new ExecutionRig(ExecutionRig.VLLM);

    private ExecutionRig.JobForm form() {
        return rig.job().with("prompt", "x".repeat(3_994));
    }

    private static DeadlineForecast forecast(PromptJob job) {
        return new DeadlineForecast(job, Length.answer(job, Rule.NONE, Map.of()));
    }

    private static DeadlineForecast.Candidate node(boolean up, double prefill, double decode, double mean) {
        return new DeadlineForecast.Candidate(up, new RequestsInFlight.Speed(prefill, 4, decode, mean));
    }

    /** A node is {@code up,prefill,decode,mean}, with 0 for a rate that is not known. */
    private static List<DeadlineForecast.Candidate> nodes(String words) {
        List<DeadlineForecast.Candidate> nodes = new ArrayList<>();
        for (String word : words.strip().split(" +", -1)) {
            String[] node = word.split(",", -1);
            nodes.add(node(node[0].equals("up"), figure(node[1]), figure(node[2]), figure(node[3])));
        }
        return nodes;
    }

    private static double figure(String word) {
        return word.equals("0") ? Double.NaN : Double.parseDouble(word);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            one second for the prompt and ten for the answer | up,1000,10,101                   | 10999 | late 11000
            it can just make it                            | up,1000,10,101                   | 11000 | wait 1
            it waits as long as it can                     | up,1000,10,101                   | 15000 | wait 4000
            the fastest node counts                        | up,1000,10,101 up,2000,100,101   | 2000  | wait 500
            whatever its load                              | up,1000,10,101 up,2000,100,101   | 1499  | late 1500
            a node that is down may come back              | up,1000,10,101 down,2000,100,101 | 2000  | wait 500
            no rate is known                               | up,0,0,0                         | 1000  | wait 500
            no answer is measured                          | up,1000,0,0                      | 1000  | wait 500
            a node that is up may be faster                | up,1000,10,101 up,0,0,0          | 1000  | wait 500
            one that is down and was never measured tells nothing | up,1000,10,101 down,0,0,0 | 1000  | late 11000
            only nodes that are down                       | down,1000,10,101                 | 1000  | late 11000
            """)
    void a_job_is_late_only_if_the_fastest_node_could_not_do_it(
            String name, String nodes, long leftMillis, String advice) {
        DeadlineForecast forecast = forecast(form().model("llama"));

        assertThat(words(forecast.advise(nodes(nodes), Duration.ofMillis(leftMillis))))
                .isEqualTo(advice);
    }

    private static String words(DeadlineForecast.Advice advice) {
        return switch (advice) {
            case DeadlineForecast.Advice.TooLate(Duration needed) -> "late " + needed.toMillis();
            case DeadlineForecast.Advice.Wait(Duration atMost) -> "wait " + atMost.toMillis();
        };
    }

    @Test
    void the_answer_has_as_many_tokens_as_the_mean_and_at_most_those_that_the_job_allows() {
        List<DeadlineForecast.Candidate> nodes = nodes("up,1000,10,101");
        PromptJob few = form().with("max_tokens", 11).model("llama");
        PromptJob many = form().with("max_completion_tokens", 9_999).model("llama");

        assertThat(words(forecast(few).advise(nodes, Duration.ZERO))).isEqualTo("late 2000");
        assertThat(words(forecast(many).advise(nodes, Duration.ZERO))).isEqualTo("late 11000");
    }

    @Test
    void embeddings_are_not_predicted() {
        PromptJob job = form().task(Task.EMBEDDINGS).model("llama");

        assertThat(words(forecast(job).advise(nodes("up,1,1,1000"), Duration.ofMillis(10))))
                .isEqualTo("wait 5");
    }

    @Test
    void the_outcome_says_the_prediction() {
        DeadlineForecast forecast = forecast(form().model("llama"));

        JobEvent event = forecast.tooLate(
                new DeadlineForecast.Advice.TooLate(Duration.ofMillis(11_000)),
                Duration.ofMillis(2_500),
                rig.time.clock().instant());

        assertThat(event)
                .isInstanceOfSatisfying(
                        JobEvent.Expired.class,
                        expired -> assertThat(String.valueOf(expired.early()))
                                .contains(
                                        "cannot meet its deadline any more",
                                        "11.0 s",
                                        "2.5 s",
                                        "penstock.deadlines.refuse-early"));
    }
}
