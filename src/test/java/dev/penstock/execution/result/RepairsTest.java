package dev.penstock.execution.result;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.wire.document.JobDocument;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RepairsTest {
    private static final JobFailure MISFIT = misfit("{\"a\":1}");

    private static JobFailure misfit(String text) {
        return JobFailure.misfit(
                "it does not fit",
                new JobFailure.Misfit(
                        text,
                        List.of(
                                new JobFailure.Misfit.Violation("/a", "integer found, string expected"),
                                new JobFailure.Misfit.Violation("", "required property 'b' not found"))));
    }

    private static PromptJob job(String request, int repairs) {
        String document =
                "{%s,\"temperature\":0,\"job\":{\"result\":{\"schema\":{},\"repair\":%d}}}".formatted(request, repairs);
        JobDocument.Parsed parsed = JobDocument.parse(
                document.getBytes(StandardCharsets.UTF_8),
                new JobDocument.Arrival(null, new JobId("j"), Instant.EPOCH),
                new JobDocument.Defaults(Priority.NORMAL, "default", Duration.ofMinutes(1), Duration.ofMinutes(1)));
        return ((JobDocument.Parsed.Valid) parsed).job();
    }

    private static PromptJob chat(int repairs) {
        return job("\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]", repairs);
    }

    @Test
    void a_chat_goes_on_with_the_answer_and_what_is_wrong_with_it() {
        PromptJob again = new Repairs(chat(1), 0).after(MISFIT).orElseThrow();

        assertThat(again.body().get("messages"))
                .isEqualTo(List.of(
                        Map.of("role", "user", "content", "Hi"),
                        Map.of("role", "assistant", "content", "{\"a\":1}"),
                        Map.of("role", "user", "content", """
                                This answer does not fit the required JSON schema:
                                - /a: integer found, string expected
                                - the whole answer: required property 'b' not found
                                Answer again with the corrected JSON only, without any text around it.""")));
        assertThat(again.body()).containsEntry("temperature", 0);
        assertThat(again.id()).isEqualTo(new JobId("j"));
        assertThat(again.result()).isEqualTo(chat(1).result());
    }

    @Test
    void the_second_repair_has_the_jobs_own_request_and_the_last_answer_only() {
        Repairs repairs = new Repairs(chat(2), 0);
        assertThat(repairs.after(MISFIT)).isPresent();

        PromptJob again = repairs.after(misfit("{}")).orElseThrow();

        assertThat(again.body().get("messages"))
                .asInstanceOf(InstanceOfAssertFactories.LIST)
                .hasSize(3)
                .contains(Map.of("role", "assistant", "content", "{}"));
    }

    @Test
    void an_empty_answer_is_no_message() {
        PromptJob again = new Repairs(chat(1), 0).after(misfit(" ")).orElseThrow();

        assertThat(again.body().get("messages"))
                .asInstanceOf(InstanceOfAssertFactories.LIST)
                .hasSize(2);
    }

    @Test
    void a_prompt_goes_on_with_the_answer() {
        PromptJob again =
                new Repairs(job("\"prompt\":\"JSON:\"", 1), 0).after(MISFIT).orElseThrow();

        assertThat(String.valueOf(again.body().get("prompt")))
                .startsWith("JSON:{\"a\":1}\n\nThis answer does not fit")
                .endsWith("around it.\n");
    }

    @ParameterizedTest
    @CsvSource({"0, 0, 0", "1, 0, 1", "2, 0, 2", "2, 1, 2", "2, 2, 1", "2, 3, 0", "2, 9, 0", "1, 2, 0"})
    void the_repairs_of_all_runs_together_have_a_limit(int repairs, int attemptsBefore, int left) {
        Repairs decides = new Repairs(chat(repairs), attemptsBefore);

        int asked = 0;
        for (Optional<PromptJob> next = decides.after(MISFIT); next.isPresent(); next = decides.after(MISFIT)) {
            asked++;
        }

        assertThat(asked).isEqualTo(left);
    }

    @Test
    void another_failure_is_not_repaired() {
        assertThat(new Repairs(chat(2), 0).after(JobFailure.of(JobFailure.Code.NODE_ERROR, "broken")))
                .isEmpty();
    }
}
