package dev.penstock.api.anthropic;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.Answer;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.TokenEvent.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Any order of events is a valid stream, and none of the text gets lost. */
class RandomAnswersTest {
    private static final int ANSWERS = 2_000;

    @Test
    void any_answer_is_a_valid_stream_with_all_of_its_text() {
        for (int seed = 0; seed < ANSWERS; seed++) {
            List<TokenEvent> events = events(new Random(seed));
            Answer.Choice choice = FormatRig.answer(events).choices().getFirst();

            StrictReader stream = FormatRig.stream(events, 1 + seed % 5);

            JsonNode content = stream.message().path("content");
            assertThat(text(content, "text", "text"))
                    .as("seed %d", seed)
                    .isEqualTo(choice.text().getOrDefault(Field.CONTENT, ""));
            assertThat(text(content, "thinking", "thinking"))
                    .as("seed %d", seed)
                    .isEqualTo(choice.text().getOrDefault(Field.REASONING, ""));
            assertThat(inputs(content))
                    .as("seed %d", seed)
                    .containsExactlyInAnyOrderElementsOf(choice.toolCalls().stream()
                            .map(call -> call.name() + " " + FormatRig.json(call.arguments()))
                            .toList());
        }
    }

    /** Makes an answer with up to three calls, whose pieces come in any order. */
    private static List<TokenEvent> events(Random random) {
        List<TokenEvent> events = new ArrayList<>();
        int calls = random.nextInt(4);
        int[] sent = new int[calls];
        String[] pieces = {"", "{\"a", "\": [1", ", {}]", "}"};
        for (int step = random.nextInt(30) + calls * pieces.length; step > 0; step--) {
            int call = calls == 0 ? 0 : random.nextInt(calls);
            int before = random.nextBoolean() ? 0 : call;
            switch (random.nextInt(4)) {
                case 0 -> events.add(new TokenEvent.Text(0, Field.CONTENT, "w" + step));
                case 1 -> events.add(new TokenEvent.Text(0, Field.REASONING, "r" + step));
                default -> {
                    if (calls > 0 && (call == 0 || sent[call - 1] > 0) && sent[before] < pieces.length) {
                        events.add(piece(before, sent[before], pieces));
                        sent[before]++;
                    }
                }
            }
        }
        for (int call = 0; call < calls; call++) {
            for (; sent[call] < pieces.length; sent[call]++) {
                events.add(piece(call, sent[call], pieces));
            }
        }
        events.add(new TokenEvent.Finish(0, calls > 0 ? "tool_calls" : "stop"));
        return events;
    }

    private static TokenEvent piece(int call, int at, String[] pieces) {
        return at == 0
                ? new TokenEvent.ToolCall(0, call, "c" + call, "name" + call, pieces[0])
                : new TokenEvent.ToolCall(0, call, null, null, pieces[at]);
    }

    private static String text(JsonNode content, String type, String field) {
        StringBuilder text = new StringBuilder();
        content.forEach(block -> {
            if (block.path("type").asText().equals(type)) {
                text.append(block.path(field).asText());
            }
        });
        return text.toString();
    }

    private static List<String> inputs(JsonNode content) {
        List<String> inputs = new ArrayList<>();
        content.forEach(block -> {
            if (block.path("type").asText().equals("tool_use")) {
                inputs.add(block.path("name").asText() + " " + block.path("input"));
            }
        });
        return inputs;
    }
}
