package dev.penstock.wire.document;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class SeenDocumentTest {
    private static final String REST =
            "\"model\":\"llava\",%s\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"total_tokens\":13}}";

    private static String document(Task task, String text, @Nullable String node) {
        Answer.Builder builder = new Answer.Builder();
        builder.add(new TokenEvent.Text(0, TokenEvent.Field.CONTENT, text));
        builder.add(new TokenEvent.Spent(new Usage(9, 4)));
        Answer answer = builder.build(new Answer.Head("chatcmpl-j", 7, "llava", task));
        return new String(SeenDocument.of(answer, node), StandardCharsets.UTF_8);
    }

    @Test
    void a_description_has_the_model_the_node_and_the_usage() {
        assertThat(document(Task.DESCRIBE, " A cat on a sofa.\n", "gpu-a"))
                .isEqualTo("{\"description\":\"A cat on a sofa.\"," + REST.formatted("\"node\":\"gpu-a\","));
    }

    @Test
    void tags_are_a_list() {
        assertThat(document(Task.TAG, "{\"tags\":[\"cat\",\"sofa\"]}", null))
                .isEqualTo("{\"tags\":[\"cat\",\"sofa\"]," + REST.formatted(""));
    }
}
