package dev.penstock.execution;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobEvent;
import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.node.FakeNodes;
import dev.penstock.settings.Rule;
import dev.penstock.settings.read.YamlSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** Chats that are too long for their node, under rules that drop the oldest turns or fail. */
class OldTurnsTest {
    private static final JobFailure TOO_LONG =
            JobFailure.of(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED, "the prompt has 9,120 tokens, the limit is 8,192");

    private final ExecutionRig rig = new ExecutionRig(ExecutionRig.VLLM, ExecutionRig.OLLAMA);

    private static Rule rule(String overflow) {
        return YamlSettings.of("penstock: {routes: [{name: it, on-overflow: %s}]}".formatted(overflow))
                .routing()
                .rules()
                .getFirst();
    }

    /** Returns a chat whose turns have 100 tokens each by the usual ratio, with a tool call in the first one. */
    private PromptJob chat(int turns) {
        List<Map<String, String>> messages = new ArrayList<>();
        messages.add(message("system", "Be brief", 40));
        for (int i = 1; i <= turns; i++) {
            messages.add(message("user", "question " + i, 200));
            messages.add(message("assistant", "answer " + i, 100));
            messages.add(message("tool", "result " + i, 100));
        }
        messages.add(message("user", "last question", 100));
        return rig.job().with("messages", messages).with("max_tokens", 50).model("llama");
    }

    private static Map<String, String> message(String role, String text, int chars) {
        return Map.of("role", role, "content", text + " ".repeat(chars - text.length() - role.length()));
    }

    private JobEvent.Completed completed(PromptJob job, Rule rule) {
        return (JobEvent.Completed) rig.start(new Work(job, rule, ExecutionRig.RECORD, null, 0, 0, 0, null))
                .outcome()
                .event();
    }

    /** Returns the texts of a request. */
    private static List<String> texts(FakeNodes.Call call) {
        List<String> texts = new ArrayList<>();
        for (Object message :
                (List<?>) Objects.requireNonNull(call.prompt().asked().get("messages"))) {
            texts.add(String.valueOf(((Map<?, ?>) message).get("content")).strip());
        }
        return texts;
    }

    @Test
    void the_oldest_turns_are_dropped_until_prompt_and_answer_fit_and_the_outcome_says_so() {
        FakeNodes.Server server = rig.nodes.server("gpu-a").up(300L, "llama").onCall(call -> call.answer("Hi"));

        JobEvent.Completed outcome = completed(chat(4), rule("drop-oldest"));

        assertThat(texts(server.calls().getFirst()))
                .as("10 + 2 x 100 + 25 tokens and an answer of 50 fit into 300")
                .containsExactly(
                        "Be brief",
                        "question 3",
                        "answer 3",
                        "result 3",
                        "question 4",
                        "answer 4",
                        "result 4",
                        "last question");
        assertThat(outcome.execution().droppedTurns()).isEqualTo(2);
    }

    @Test
    void a_chat_that_fits_stays_whole_and_so_does_one_of_another_rule() {
        FakeNodes.Server server = rig.nodes.server("gpu-a").up(485L, "llama").onCall(call -> call.answer("Hi"));
        assertThat(completed(chat(4), rule("drop-oldest")).execution().droppedTurns())
                .isZero();
        assertThat(texts(server.calls().getFirst())).hasSize(14);

        server.up(300L, "llama");
        assertThat(completed(chat(4), rule("next")).execution().droppedTurns()).isZero();
        assertThat(texts(server.calls().get(1))).hasSize(14);
    }

    @Test
    void the_last_turn_of_the_user_and_the_system_stay_even_if_they_do_not_fit() {
        FakeNodes.Server server = rig.nodes.server("gpu-a").up(20L, "llama").onCall(call -> call.answer("Hi"));

        assertThat(completed(chat(3), rule("drop-oldest")).execution().droppedTurns())
                .isEqualTo(3);
        assertThat(texts(server.calls().getFirst())).containsExactly("Be brief", "last question");
    }

    @Test
    void if_a_node_refuses_the_rest_as_too_long_more_turns_are_dropped() {
        FakeNodes.Server server = rig.nodes.server("gpu-a").up("llama").onCall(call -> {
            if (texts(call).size() > 8) {
                call.fail(TOO_LONG);
            } else {
                call.answer("Hi");
            }
        });

        JobEvent.Completed outcome = completed(chat(8), rule("drop-oldest"));

        assertThat(outcome.execution().droppedTurns()).isEqualTo(6);
        assertThat(server.calls()).as("the node lists no context").hasSize(4);
        assertThat(outcome.execution().attempts()).isEqualTo(server.calls().size());
    }

    @Test
    void if_no_turn_is_left_to_drop_the_job_fails_with_the_words_of_the_node() {
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(TOO_LONG));

        ExecutionRig.Run run =
                rig.start(new Work(chat(3), rule("drop-oldest"), ExecutionRig.RECORD, null, 0, 0, 0, null));

        assertThat(run.failure().code()).isEqualTo(JobFailure.Code.CONTEXT_LENGTH_EXCEEDED);
        rig.assertNothingHeld();
    }

    @Test
    void with_fail_a_refusal_ends_the_job_and_with_next_another_node_gets_it() {
        rig.nodes.server("gpu-a").up("llama").onCall(call -> call.fail(TOO_LONG));
        FakeNodes.Server other = rig.nodes.server("cpu-a").up("llama").onCall(call -> call.answer("Hi"));

        ExecutionRig.Run failing = rig.start(new Work(chat(1), rule("fail"), ExecutionRig.RECORD, null, 0, 0, 0, null));
        assertThat(failing.failure().message()).contains("9,120 tokens");
        assertThat(other.calls()).isEmpty();

        assertThat(completed(chat(1), rule("next")).execution().node()).isEqualTo("cpu-a");
    }

    @Test
    void with_fail_a_prompt_that_is_much_too_long_for_the_first_target_reaches_no_node() {
        FakeNodes.Server small = rig.nodes.server("gpu-a").up(100L, "llama");
        FakeNodes.Server large = rig.nodes.server("cpu-a").up(100_000L, "llama");

        ExecutionRig.Run run = rig.start(new Work(chat(4), rule("fail"), ExecutionRig.RECORD, null, 0, 0, 0, null));

        assertThat(run.failure().message())
                .isEqualTo("the prompt has about 435 tokens and its answer up to 50. The limits are: gpu-a 100");
        assertThat(small.calls()).isEmpty();
        assertThat(large.calls()).isEmpty();
        assertThat(run.sink.names()).doesNotContain("started 1");
    }

    @Test
    void with_next_a_prompt_that_is_too_long_for_the_first_target_goes_to_the_next_one() {
        FakeNodes.Server small = rig.nodes.server("gpu-a").up(100L, "llama");
        rig.nodes.server("cpu-a").up(1_000L, "llama").onCall(call -> call.answer("Hi"));

        JobEvent.Completed outcome = completed(chat(4), Rule.NONE);

        assertThat(outcome.execution().node()).isEqualTo("cpu-a");
        assertThat(outcome.execution().attempts()).isEqualTo(1);
        assertThat(small.calls()).isEmpty();
    }
}
