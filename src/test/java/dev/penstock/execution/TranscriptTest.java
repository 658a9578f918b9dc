package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.PromptJob;
import dev.penstock.job.PublishedText;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.settings.Settings;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class TranscriptTest {
    private static final ExecutionRig RIG = new ExecutionRig();

    private static TokenEvent text(String text) {
        return new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text);
    }

    private static Transcript of(PromptJob job, TokenEvent... events) {
        Transcript transcript = transcript(job);
        List.of(events).forEach(transcript::add);
        return transcript;
    }

    private static Transcript transcript(PromptJob job) {
        return new Transcript(ContinuePlan.mayContinue(Settings.Continuing.SAME_MODEL, job));
    }

    private static Optional<String> continuable(Transcript transcript) {
        return transcript.continuable().map(PublishedText::text);
    }

    private static PromptJob job() {
        return RIG.job().model("llama");
    }

    @Test
    void the_published_text_can_be_continued_and_no_more() {
        Transcript transcript = of(job(), new TokenEvent.Role(0), text("Hel"), text("lo"));
        assertThat(continuable(transcript)).as("nothing is published").isEmpty();

        transcript.published(1);
        transcript.add(text(" you"));

        assertThat(continuable(transcript)).contains("Hello");
    }

    @Test
    void the_answer_is_all_of_the_text() {
        Transcript transcript = of(job(), text("Hel"), new TokenEvent.Spent(new Usage(1, 2, 0, 0)));
        transcript.published(1);
        transcript.add(text("lo"));

        Answer answer = transcript.answer(new Answer.Head("a", 1, "m", Task.CHAT));

        assertThat(answer.choices().getFirst().text()).isEqualTo(Map.of(TokenEvent.Field.CONTENT, "Hello"));
        assertThat(answer.usage().completionTokens()).isEqualTo(2);
    }

    @Test
    void an_attempt_that_starts_over_begins_with_nothing() {
        Transcript transcript = of(job(), text("Hel"), new TokenEvent.Finish(0, "stop"));
        transcript.published(1);

        transcript.startOver();

        assertThat(continuable(transcript)).isEmpty();
        assertThat(transcript.answer(new Answer.Head("a", 1, "m", Task.CHAT)).chars())
                .isZero();
        transcript.add(text("x"));
        transcript.published(1);
        assertThat(continuable(transcript)).contains("x");
    }

    @Test
    void a_text_that_ends_inside_a_code_point_cannot_be_continued() {
        Transcript transcript = of(job(), text("x\uD83D"));
        transcript.published(1);
        assertThat(continuable(transcript)).isEmpty();

        transcript.add(text("\uDE00"));
        transcript.published(1);
        assertThat(continuable(transcript)).contains("x😀");
    }

    static List<TokenEvent> others() {
        return List.of(
                new TokenEvent.Text(1, TokenEvent.Field.CONTENT, "another choice"),
                new TokenEvent.Text(0, TokenEvent.Field.REASONING, "hm"),
                new TokenEvent.ToolCall(0, 0, "id", "name", "{"),
                new TokenEvent.Thinking(0, Map.of("signature", "x")),
                new TokenEvent.Logprobs(0, Map.of("content", List.of())),
                new TokenEvent.Finish(0, "stop"));
    }

    @ParameterizedTest
    @MethodSource("others")
    void an_answer_that_is_more_than_one_plain_text_cannot_be_continued(TokenEvent other) {
        Transcript transcript = of(job(), text("Hello"), other);
        transcript.published(1);

        assertThat(continuable(transcript)).isEmpty();
    }

    static List<PromptJob> requests() {
        return List.of(
                RIG.job().with("n", 2).model("llama"),
                RIG.job().with("logprobs", true).model("llama"),
                RIG.job().with("tools", List.of()).model("llama"),
                RIG.job().with("response_format", Map.of("type", "json_object")).model("llama"),
                RIG.job().with("grammar", "root ::= x").model("llama"),
                RIG.job().task(Task.TAG).model("llama"),
                RIG.job().task(Task.EMBEDDINGS).model("llama"));
    }

    @ParameterizedTest
    @MethodSource("requests")
    void a_job_whose_answer_depends_on_more_than_its_text_cannot_be_continued(PromptJob job) {
        Transcript transcript = of(job, text("Hello"));
        transcript.published(1);

        assertThat(continuable(transcript)).isEmpty();
    }

    @Test
    void one_choice_that_is_asked_for_by_number_can_be_continued() {
        Transcript transcript = of(RIG.job().with("n", 1).task(Task.DESCRIBE).model("llama"), text("Hello"));
        transcript.published(1);

        assertThat(continuable(transcript)).contains("Hello");
    }
}
