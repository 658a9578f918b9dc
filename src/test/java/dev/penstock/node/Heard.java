package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.node.protocol.Prompt;
import dev.penstock.node.upstream.TokenStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** One whole answer, as it came in. */
record Heard(
        Answer answer, List<TokenEvent> events, @Nullable JobFailure failure, List<String> ignored) {
    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(120);

    /**
     * Repeats the request, within the stage's tries, if the server is gone before its answer ends. A job does the
     * same.
     */
    static Heard of(Stage stage, Prompt prompt) throws Exception {
        return showing(stage, prompt, _ -> true);
    }

    /**
     * Repeats the request also for a whole answer that does not show the wanted behaviour: a model of random weights
     * may end it at once.
     */
    static Heard showing(Stage stage, Prompt prompt, Predicate<Heard> wanted) throws Exception {
        return until(
                stage,
                prompt,
                said -> said.failure == null
                        ? wanted.test(said)
                        : said.failure.code() != JobFailure.Code.STREAM_BROKEN);
    }

    private static Heard once(Stage stage, Prompt prompt) throws Exception {
        Answer.Builder builder = new Answer.Builder();
        List<TokenEvent> events = new ArrayList<>();
        JobFailure failure = null;
        boolean spoken = false;
        StallTimeouts silence =
                new StallTimeouts(stage.client().settings(), stage.timeouts(), prompt.task(), System.nanoTime());
        try (TokenStream stream = stage.client().stream(prompt)) {
            while (true) {
                TokenEvent event = stream.next(Math.max(0, silence.leftNanos(System.nanoTime())), 0);
                if (event == null) {
                    failure = silence.tooLong();
                    break;
                }
                if (event instanceof TokenEvent.Text) {
                    silence.endsAt(System.nanoTime());
                }
                if (event instanceof TokenEvent.End) {
                    break;
                }
                if (event instanceof TokenEvent.Broken(JobFailure why)) {
                    failure = why;
                    break;
                }
                events.add(event);
                builder.add(event);
                if (!spoken && event instanceof TokenEvent.Text) {
                    spoken = true;
                    stage.onFirstToken().run();
                }
            }
            Answer answer = builder.build(new Answer.Head("id", 1, prompt.model(), prompt.task()));
            return new Heard(answer, events, failure, stream.ignoredParameters());
        }
    }

    /** Repeats the request because a model of random weights shows some behaviour only now and then. */
    static Heard until(Stage stage, Prompt prompt, Predicate<Heard> done) throws Exception {
        Heard heard = once(stage, prompt);
        for (int i = 1; i < stage.tries() && !done.test(heard); i++) {
            heard = once(stage, prompt);
        }
        return heard;
    }

    static TokenEvent next(TokenStream stream) throws InterruptedException {
        return Objects.requireNonNull(stream.next(PATIENCE_NANOS, 0), "the server says nothing more");
    }

    void assertWhole() {
        assertThat(failure).as("%s", failure).isNull();
    }

    JobFailure requireFailure() {
        return Objects.requireNonNull(failure, "it did not fail");
    }

    Answer.Choice choice() {
        return answer.choices().getFirst();
    }

    String text() {
        return choice().text().getOrDefault(TokenEvent.Field.CONTENT, "");
    }

    /** Returns the reasoning and the text: a model that reasons may have no tokens left for the text. */
    String words() {
        return choice().text().getOrDefault(TokenEvent.Field.REASONING, "") + text();
    }

    /** Returns the words in the pieces in which they came. */
    List<String> pieces() {
        return events.stream()
                .filter(TokenEvent.Text.class::isInstance)
                .map(event -> ((TokenEvent.Text) event).text())
                .toList();
    }
}
